"""Dice, Hammoud distance and XOR of masks (honest) and of cluster maps whose mask the truth picks (oracle)."""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from monai.metrics import CumulativeIterationMetric
from torch import Tensor

__all__ = ["MaskOverlapMetric", "OracleClusterOverlapMetric", "oracle_mask", "overlap_values"]


def overlap_values(pred: Tensor, truth: Tensor) -> Tensor:
    """Dice, HM and XOR of each pair of binary masks.

    With I the intersection, U the union and T the true mask, in pixels: Dice = 2 I / (I + U),
    HM = (U - I) / U (1 minus the intersection over union), XOR = (U - I) / T.

    Args:
        pred: predicted masks ``[B, 1, H, W]``, bool.
        truth: true masks of the same shape, bool.

    Returns:
        ``[B, 3]``. Where both masks are empty they agree: 1, 0, 0. Where only the truth is empty: 0, 1, NaN.
    """
    both = (pred & truth).flatten(1).sum(1).double()
    either = (pred | truth).flatten(1).sum(1).double()
    true = truth.flatten(1).sum(1).double()
    dice = torch.where(either > 0, 2 * both / (both + either), 1.0)
    hm = torch.where(either > 0, (either - both) / either, 0.0)
    xor = torch.where(either > 0, torch.where(true > 0, (either - both) / true, torch.nan), 0.0)
    return torch.stack([dice, hm, xor], dim=1).float()


def oracle_mask(labels: Tensor, truth: Tensor, margin: int = 6, skip_label_zero: bool = False) -> Tensor:
    """The mask that MS-Former's notebook scores: chosen and cropped with the help of the truth.

    It is the cluster that is most frequent inside the true mask, without what lies farther than ``margin`` pixels
    (along rows and columns) outside of it. No user ever gets this mask.

    Args:
        labels: cluster maps ``[B, 1, H, W]`` of whole numbers from 0.
        truth: true masks of the same shape, bool.
        margin: in pixels; the published value belongs to 257 x 257.
        skip_label_zero: as published, label 0 is never chosen, because there it means the outside of the truth.

    Returns:
        masks of the same shape, bool; empty where nothing can be chosen (an empty truth, or, with
        ``skip_label_zero``, a truth with label 0 only).
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


class _OverlapMetric(CumulativeIterationMetric):
    """Values ``[N, 3]`` per image under the names of :py:attr:`columns`."""

    columns: ClassVar[Mapping[str, str]]

    def aggregate(self) -> dict[str, float]:
        """Mean over all images; one whose XOR has no value is left out of that mean."""
        values = self.get_buffer()
        if values is None:
            raise ValueError(f"{type(self).__name__} has no image to summarize: was the data list empty?")
        return self.summarize(range(len(values)))

    def summarize(self, rows: Any) -> dict[str, float]:
        """Means over some of the images, by their places in the buffer."""
        values = self.get_buffer()[list(rows)]
        return dict(zip(self.columns, values.double().nanmean(dim=0).tolist(), strict=True))


class MaskOverlapMetric(_OverlapMetric):
    """Honest Dice, HM and XOR: the masks as they are delivered, at the original size.

    See :func:`overlap_values` for the definitions and the empty cases. The buffer is ``[N, 3]``.
    """

    columns: ClassVar[Mapping[str, str]] = {
        "Dice": "honest: Dice of the delivered mask at the original size",
        "HM": "honest: (union - intersection) / union of the delivered mask",
        "XOR": "honest: (union - intersection) / truth of the delivered mask",
    }

    def _compute_tensor(self, y_pred: Tensor, y: Tensor | None = None, **kwargs: Any) -> Tensor:
        """Compare masks ``[B, 1, H, W]`` of 0 and 1; returns ``[B, 3]``."""
        pred, truth = _checked(self, y_pred, y)
        return overlap_values(pred > 0.5, truth > 0.5)


class OracleClusterOverlapMetric(_OverlapMetric):
    """Dice, HM and XOR as MS-Former's notebook prints them: the truth picks the cluster and crops the mask.

    Not a measure of what a user gets (see :func:`oracle_mask`); it exists to compare with published figures. Both
    inputs come at the network's size; the published one resizes the truth bilinearly and counts every pixel above 0.

    Args:
        margin: see :func:`oracle_mask`.
        skip_label_zero: see :func:`oracle_mask`; true reproduces the published fault.
    """

    columns: ClassVar[Mapping[str, str]] = {
        "oracle_Dice": "oracle: Dice of the cluster that the truth picks and crops, network's size",
        "oracle_HM": "oracle: (union - intersection) / union of that mask",
        "oracle_XOR": "oracle: (union - intersection) / truth of that mask",
    }

    def __init__(self, margin: int = 6, skip_label_zero: bool = False) -> None:
        super().__init__()
        if margin < 0:
            raise ValueError(f"margin must not be negative, got {margin}.")
        self.margin = margin
        self.skip_label_zero = skip_label_zero

    def _compute_tensor(self, y_pred: Tensor, y: Tensor | None = None, **kwargs: Any) -> Tensor:
        """Compare cluster maps ``[B, 1, H, W]`` with true masks; returns ``[B, 3]``."""
        labels, truth = _checked(self, y_pred, y)
        truth = truth > 0
        return overlap_values(oracle_mask(labels, truth, self.margin, self.skip_label_zero), truth)


def _checked(metric: object, y_pred: Tensor, y: Tensor | None) -> tuple[Tensor, Tensor]:
    if y is None or y_pred.ndim != 4 or y_pred.shape[1] != 1 or y_pred.shape != y.shape:
        shapes = f"{tuple(y_pred.shape)} and {None if y is None else tuple(y.shape)}"
        raise ValueError(f"{type(metric).__name__} needs two masks [B, 1, H, W] of one size, got {shapes}.")
    return torch.as_tensor(y_pred), torch.as_tensor(y)
