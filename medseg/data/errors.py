"""The one error that speaks to the person who prepared the data."""

from __future__ import annotations

__all__ = ["InputError"]


class InputError(ValueError):
    """A file or folder that the user gave is unusable; the message names it and says what to do."""
