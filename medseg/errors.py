"""The error for what a user can correct."""

__all__ = ["InputError", "missing_packages"]


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
