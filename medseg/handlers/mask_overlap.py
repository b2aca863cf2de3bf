"""Overlap of the final masks with the labels."""

from collections.abc import Callable
from typing import Any

from medseg.handlers.column_metric import ColumnMetricHandler
from medseg.metrics.mask_overlap import MaskOverlapMetric


class MaskOverlap(ColumnMetricHandler):
    """Compute `medseg.metrics.MaskOverlapMetric` (Dice, HM, XOR of the final mask) in an Ignite engine.

    Args:
        output_transform: gives `(masks, labels)` at the original size from `engine.state.output`.
    """

    def __init__(self, output_transform: Callable[[Any], Any]) -> None:
        super().__init__(metric_fn=MaskOverlapMetric(), output_transform=output_transform)
