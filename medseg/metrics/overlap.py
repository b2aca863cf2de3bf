"""Dice, Hammoud distance (HM) and XOR of pairs of masks."""

import torch
from monai.metrics import compute_dice, compute_iou
from torch import Tensor


def overlap_values(pred: Tensor, truth: Tensor) -> Tensor:
    """Dice, HM and XOR of each pair of binary masks.

    With I the intersection, U the union and T the true mask, in pixels: Dice = 2 I / (I + U),
    HM = (U - I) / U (1 minus the intersection over union), XOR = (U - I) / T.

    Args:
        pred: predicted masks `[B, 1, H, W]`, bool.
        truth: true masks of the same shape, bool.

    Returns:
        `[B, 3]`. Where both masks are empty they agree: 1, 0, 0. Where only the truth is empty: 0, 1, NaN.
    """
    dice = compute_dice(pred.double(), truth.double(), ignore_empty=False)
    iou = compute_iou(pred.double(), truth.double(), ignore_empty=False)
    wrong, true = ((pred ^ truth).flatten(1).sum(1, keepdim=True), truth.flatten(1).sum(1, keepdim=True))
    xor = torch.where(true > 0, wrong / true, torch.where(wrong > 0, torch.nan, 0.0))
    return torch.cat([dice, 1 - iou, xor], dim=1).float()


def mask_pair(metric: object, y_pred: Tensor, y: Tensor | None) -> tuple[Tensor, Tensor]:
    """Both inputs of a metric as plain tensors.

    Raises:
        ValueError: when they are not `[B, 1, H, W]` of one shape.
    """
    if y is None or y_pred.ndim != 4 or y_pred.shape[1] != 1 or y_pred.shape != y.shape:
        shapes = f"{tuple(y_pred.shape)} and {None if y is None else tuple(y.shape)}"
        raise ValueError(f"{type(metric).__name__} needs two masks [B, 1, H, W] of one size, got {shapes}.")
    return torch.as_tensor(y_pred), torch.as_tensor(y)
