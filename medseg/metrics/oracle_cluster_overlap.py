"""Overlap of the clusters that the labels pick, as published for MS-Former."""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from medseg.metrics.column_metric import ColumnMetric, MetricColumn
from medseg.metrics.overlap import mask_pair, overlap_values


def oracle_mask(labels: Tensor, truth: Tensor, margin: int = 6, skip_label_zero: bool = False) -> Tensor:
    """The mask that MS-Former's notebook scores: chosen and cropped with the help of the truth.

    It is the cluster that is most frequent inside the true mask, without what lies farther than `margin` pixels
    (along rows and columns) outside of it. No user ever gets this mask.

    Args:
        labels: cluster maps `[B, 1, H, W]` of whole numbers from 0.
        truth: true masks of the same shape, bool.
        margin: in pixels; the published value belongs to 257 x 257.
        skip_label_zero: as published, label 0 is never chosen, because there it means the outside of the truth.

    Returns:
        masks of the same shape, bool; empty where nothing can be chosen (an empty truth, or, with
        `skip_label_zero`, a truth with label 0 only).
    """
    near = F.max_pool2d(truth.float(), 2 * margin + 1, stride=1, padding=margin) > 0
    masks = torch.zeros_like(truth)
    for index, (label, inside) in enumerate(zip(labels.long(), truth, strict=True)):
        counts = torch.bincount(label[inside], minlength=2)
        if skip_label_zero:
            counts[0] = 0
        if counts.any():
            masks[index] = (label == counts.argmax()) & near[index]
    return masks


class OracleClusterOverlapMetric(ColumnMetric):
    """Dice, HM and XOR as MS-Former's notebook prints them: the truth picks the cluster and crops the mask.

    Not a measure of what a user gets (see `oracle_mask`); it exists to compare with published figures. Both inputs
    come at the network's size; the published one resizes the truth bilinearly and counts every pixel above 0.

    Args:
        margin: see `oracle_mask`.
        skip_label_zero: see `oracle_mask`; true reproduces the published fault.

    Raises:
        ValueError: when the margin is negative.
    """

    columns: ClassVar[Mapping[str, MetricColumn]] = {
        "oracle_Dice": MetricColumn("oracle: Dice of the cluster that the truth picks and crops, network's size"),
        "oracle_HM": MetricColumn("oracle: (union - intersection) / union of that mask"),
        "oracle_XOR": MetricColumn("oracle: (union - intersection) / truth of that mask"),
    }

    def __init__(self, margin: int = 6, skip_label_zero: bool = False) -> None:
        super().__init__()
        if margin < 0:
            raise ValueError(f"margin must not be negative, got {margin}.")
        self.margin = margin
        self.skip_label_zero = skip_label_zero

    def _compute_tensor(self, y_pred: Tensor, y: Tensor | None = None, **kwargs: Any) -> Tensor:
        """Compare cluster maps `[B, 1, H, W]` with true masks; returns `[B, 3]`."""
        labels, truth = mask_pair(self, y_pred, y)
        truth = truth > 0
        return overlap_values(oracle_mask(labels, truth, self.margin, self.skip_label_zero), truth)
