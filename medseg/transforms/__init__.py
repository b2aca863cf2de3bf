"""Transforms that MONAI does not have."""

from __future__ import annotations

from medseg.transforms.enhance import RandImageEnhanced, adjust_brightness, adjust_contrast, adjust_sharpness
from medseg.transforms.morphology import RandDilateEroded, dilate, elliptic_kernel, erode

__all__ = [
    "RandDilateEroded",
    "RandImageEnhanced",
    "adjust_brightness",
    "adjust_contrast",
    "adjust_sharpness",
    "dilate",
    "elliptic_kernel",
    "erode",
]
