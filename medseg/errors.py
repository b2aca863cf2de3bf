"""The one error whose message is for the user, and the search for it among the causes of another error."""

from collections.abc import Iterator


class InputError(ValueError):
    """A file, folder or setting that the user gave is unusable; the message names it and says what to do."""


def missing_packages(purpose: str, packages: str, otherwise: str = "") -> InputError:
    """The error for optional packages that are not installed, with the command that installs them.

    Args:
        purpose: what needs them, the start of the sentence.
        packages: names for pip, separated by spaces. Never an extra of medseg: no package index has it.
        otherwise: what else would do, the end of the sentence after "or".
    """
    end = f", or {otherwise}." if otherwise else "."
    return InputError(f"{purpose} needs {packages.replace(' ', ', ')}: install with `pip install {packages}`{end}")


def causes(error: BaseException) -> Iterator[BaseException]:
    """`error`, then the exceptions it was raised from, as Python prints them: the outermost first."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)


def user_error(error: BaseException) -> InputError | FileNotFoundError | FileExistsError | None:
    """The user-facing exception in the cause chain of `error`, which MONAI wraps; None if there is none."""
    told = InputError | FileNotFoundError | FileExistsError
    return next((cause for cause in causes(error) if isinstance(cause, told)), None)
