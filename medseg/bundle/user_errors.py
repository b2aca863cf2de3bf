"""One sentence for an error that the user can mend."""

import sys
from types import TracebackType

from medseg.errors import InputError

__all__ = ["install_user_error_hook", "user_error"]


def install_user_error_hook() -> None:
    """From here on an `InputError` that ends the program prints its one sentence, not the whole traceback.

    So does a file that is not there. The exit status stays 1. Any other error keeps its traceback: it is ours.
    """
    previous = sys.excepthook

    def show(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
        cause = user_error(error)
        if cause is None:
            previous(kind, error, traceback)
        else:
            sys.stderr.write(f"Error: {cause}\n")

    sys.excepthook = show


def user_error(error: BaseException) -> InputError | FileNotFoundError | None:
    """What speaks to the user in the chain of causes of `error`, which MONAI wraps; None if there is nothing."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, InputError | FileNotFoundError):
        cause = cause.__cause__ or cause.__context__
    return cause
