"""Commands of `python -m medseg`, one per file."""
