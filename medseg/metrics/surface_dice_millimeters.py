"""Surface Dice with tolerances in millimeters, whatever the spacing of each case."""

from typing import Any

import torch
from monai.metrics import SurfaceDiceMetric

from medseg.metrics.spacing import with_spacing


class SurfaceDiceMillimeters(SurfaceDiceMetric):
    """`monai.metrics.SurfaceDiceMetric` with the spacing that each label's affine gives.

    As `HausdorffMillimeters`; `class_thresholds` are in mm. `[B, C]` between 0 and 1, NaN where a class is empty in
    prediction and label.
    """

    def _compute_tensor(self, y_pred: torch.Tensor, y: torch.Tensor, **kwargs: Any) -> torch.Tensor:  # type: ignore[override]
        return super()._compute_tensor(y_pred, y, **with_spacing(y, kwargs))
