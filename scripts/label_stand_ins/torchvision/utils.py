"""The two names that MONAI Label imports."""

from typing import NoReturn


def make_grid(*_: object, **__: object) -> NoReturn:
    """Raise an `ImportError`."""
    raise ImportError("Label's transform DumpImagePrediction2Dd needs torchvision: install it beside medseg.")


save_image = make_grid
