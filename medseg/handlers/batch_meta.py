from __future__ import annotations

from collections.abc import Sequence
from typing import Any

__all__ = ["batch_meta"]


def batch_meta(batch: Sequence[dict[str, Any]], key: str = "image") -> list[dict[str, Any]]:
    """The metadata of each image of a decollated batch, in the form that MONAI's `MetricsSaver` wants.

    Args:
        batch: items whose `key` is a MetaTensor.
        key: key of the image in an item.
    """
    return [item[key].meta for item in batch]
