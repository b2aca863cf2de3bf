import copy
from collections.abc import Mapping
from typing import Any

from monai.transforms import Compose, LoadImaged
from monai.utils import ensure_tuple

__all__ = ["source_loader", "source_of"]


def source_loader(preprocessing: Compose, key: str) -> LoadImaged:
    """The step of a bundle's preprocessing that reads the image, to read a case's source once more.

    Args:
        preprocessing: transforms with a `LoadImaged` of `key`.
        key: key of the image.

    Returns:
        a copy of that step, which does without the other keys that it reads in the preprocessing.

    Raises:
        ValueError: when there is no such step.
    """
    for step in ensure_tuple(preprocessing.transforms):
        if isinstance(step, LoadImaged) and key in step.keys:
            alone = copy.copy(step)
            alone.allow_missing_keys = True
            return alone
    raise ValueError(f"There is no LoadImaged of {key!r} in the preprocessing: pass preprocessing: null.")


def source_of(item: Mapping[str, Any]) -> Any:
    """The decoded source that the item of a batch carries as `source`; None if it carries none.

    Args:
        item: of `engine.state.batch`. Its source is a picture `[H, W, 3]` of 0 to 255, or a MetaTensor `[X, Y, Z]` in
            the file's own units.
    """
    return item.get("source")
