from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from monai.data import decollate_batch

__all__ = ["batch_items"]


def batch_items(batch: Any) -> list[Any]:
    """The items of `engine.state.batch` or `engine.state.output`, collated or already decollated.

    Args:
        batch: a dict of batches, or a sequence of items.
    """
    return decollate_batch(batch) if isinstance(batch, Mapping) else list(batch)
