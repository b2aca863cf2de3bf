"""Hausdorff distance in millimeters, whatever the spacing of each case."""

from typing import Any

import torch
from monai.metrics import HausdorffDistanceMetric

from medseg.metrics.spacing import with_spacing


class HausdorffMillimeters(HausdorffDistanceMetric):
    """`monai.metrics.HausdorffDistanceMetric` with the spacing that each label's affine gives.

    MONAI's wants the spacing with every call, which its handler does not pass: it would count voxels. Arguments,
    shapes and results are MONAI's: `[B, C]` in mm, NaN or infinite where a class is empty in prediction or label. A
    label that is no MetaTensor counts as one voxel per millimeter.
    """

    def _compute_tensor(self, y_pred: torch.Tensor, y: torch.Tensor, **kwargs: Any) -> torch.Tensor:  # type: ignore[override]
        return super()._compute_tensor(y_pred, y, **with_spacing(y, kwargs))
