"""The one error that speaks to the person who gave the files and settings."""

__all__ = ["InputError"]


class InputError(ValueError):
    """A file, folder or setting that the user gave is unusable; the message names it and says what to do."""
