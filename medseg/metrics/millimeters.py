"""MONAI's surface metrics in millimeters, of whatever spacing each case has."""

from typing import Any

import torch
from monai.data import MetaTensor
from monai.metrics import HausdorffDistanceMetric, SurfaceDiceMetric

__all__ = ["HausdorffMillimeters", "SurfaceDiceMillimeters"]


class HausdorffMillimeters(HausdorffDistanceMetric):
    """:py:class:`monai.metrics.HausdorffDistanceMetric` with the spacing that each label's affine says.

    MONAI's wants the spacing with every call, which a handler does not give: it would count voxels. Arguments,
    shapes and results are MONAI's: `[B, C]` in mm, nan or infinite where a class is empty in prediction or
    label. A label that is no MetaTensor counts as one voxel per millimeter.
    """

    def _compute_tensor(self, y_pred: torch.Tensor, y: torch.Tensor, **kwargs: Any) -> torch.Tensor:  # type: ignore[override]
        return super()._compute_tensor(y_pred, y, **_with_spacing(y, kwargs))


class SurfaceDiceMillimeters(SurfaceDiceMetric):
    """:py:class:`monai.metrics.SurfaceDiceMetric` with the spacing that each label's affine says.

    As :py:class:`HausdorffMillimeters`; `class_thresholds` are in mm. `[B, C]` between 0 and 1, nan where a
    class is empty in prediction and label.
    """

    def _compute_tensor(self, y_pred: torch.Tensor, y: torch.Tensor, **kwargs: Any) -> torch.Tensor:  # type: ignore[override]
        return super()._compute_tensor(y_pred, y, **_with_spacing(y, kwargs))


def _with_spacing(label: torch.Tensor, given: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(label, MetaTensor):
        return given
    axes = label.affine.double()[..., :3, :3]
    return {"spacing": axes.norm(dim=-2).tolist(), **given}
