"""The spacing of a case for the surface metrics of MONAI."""

from typing import Any

import torch
from monai.data import MetaTensor


def with_spacing(label: torch.Tensor, given: dict[str, Any]) -> dict[str, Any]:
    """Arguments of one of MONAI's surface metrics, with the spacing in mm that the label's affine gives.

    Args:
        label: `[B, C, ...]`; a label that is no MetaTensor has no spacing, so that the metric counts voxels.
        given: the arguments so far; a spacing among them stays.
    """
    if not isinstance(label, MetaTensor):
        return given
    axes = label.affine.double()[..., :3, :3]
    return {"spacing": axes.norm(dim=-2).tolist(), **given}
