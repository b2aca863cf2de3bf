"""Overlap of the final masks with the labels."""

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor

from medseg.metrics.column_metric import ColumnMetric, MetricColumn
from medseg.metrics.overlap import mask_pair, overlap_values


class MaskOverlapMetric(ColumnMetric):
    """Dice, HM and XOR of the final masks: as they are delivered, at the original size.

    Definitions and empty cases are those of `medseg.metrics.overlap.overlap_values`. The buffer is `[N, 3]`.
    """

    columns: ClassVar[Mapping[str, MetricColumn]] = {
        "Dice": MetricColumn("final mask: Dice of the delivered mask at the original size", is_dice=True),
        "HM": MetricColumn("final mask: (union - intersection) / union of the delivered mask"),
        "XOR": MetricColumn("final mask: (union - intersection) / truth of the delivered mask"),
    }

    def _compute_tensor(self, y_pred: Tensor, y: Tensor | None = None, **kwargs: Any) -> Tensor:
        """Compare masks `[B, 1, H, W]` of 0 and 1; returns `[B, 3]`."""
        pred, truth = mask_pair(self, y_pred, y)
        return overlap_values(pred > 0.5, truth > 0.5)
