import copy

from monai.transforms import Compose, LoadImaged
from monai.utils import ensure_tuple

__all__ = ["source_loader"]


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
