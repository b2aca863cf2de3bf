"""One sentence on the standard error for what the user can mend."""

import sys
from types import TracebackType

from medseg.errors import user_error


def install_user_error_hook() -> None:
    """Print an `InputError` (or a missing or existing file) that ends the program as one sentence, exit status 1.

    Any other error keeps its traceback: it is ours. Installing the hook twice changes nothing.
    """
    previous = sys.excepthook
    if getattr(previous, "is_user_error_hook", False):
        return

    def show(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
        told = user_error(error)
        if told is None:
            previous(kind, error, traceback)
        else:
            sys.stderr.write(f"Error: {told}\n")

    show.is_user_error_hook = True  # type: ignore[attr-defined]
    sys.excepthook = show
