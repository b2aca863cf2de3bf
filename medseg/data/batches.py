"""Items of a batch and their metadata."""

from collections.abc import Mapping, Sequence
from typing import Any

from monai.data import decollate_batch


def batch_items(batch: Any) -> list[Any]:
    """The items of `engine.state.batch` or `engine.state.output`, collated or already decollated.

    Args:
        batch: a dict of batches, or a sequence of items.
    """
    return decollate_batch(batch) if isinstance(batch, Mapping) else list(batch)


def batch_meta(batch: Sequence[dict[str, Any]], key: str = "image") -> list[dict[str, Any]]:
    """The metadata of each image of a decollated batch, in the form that MONAI's `MetricsSaver` wants.

    Args:
        batch: items whose `key` is a MetaTensor.
        key: key of the image in an item.
    """
    return [item[key].meta for item in batch]
