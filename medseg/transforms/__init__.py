"""Transforms that MONAI does not have."""

from __future__ import annotations

from medseg.transforms.argmax_invert import ArgmaxInvertd
from medseg.transforms.channels import ChannelMixd, ChannelOrderd, ClusterColourd
from medseg.transforms.cluster_to_mask import ClusterToMask, ClusterToMaskd
from medseg.transforms.color_jitter import RandColorJitterd
from medseg.transforms.enhance import RandImageEnhanced, adjust_brightness, adjust_contrast, adjust_sharpness
from medseg.transforms.label_groups import LabelGroupsd
from medseg.transforms.mask_strategies import MASK_STRATEGIES, lesion_mask, lung_mask
from medseg.transforms.morphology import RandDilateEroded, dilate, elliptic_kernel, erode
from medseg.transforms.save_volume import SaveDicomSegd, SaveImageVolumed
from medseg.transforms.vignette import FlattenVignette, FlattenVignetted, flatten_vignette

__all__ = [
    "MASK_STRATEGIES",
    "ArgmaxInvertd",
    "ChannelMixd",
    "ChannelOrderd",
    "ClusterColourd",
    "ClusterToMask",
    "ClusterToMaskd",
    "FlattenVignette",
    "FlattenVignetted",
    "LabelGroupsd",
    "RandColorJitterd",
    "RandDilateEroded",
    "RandImageEnhanced",
    "SaveDicomSegd",
    "SaveImageVolumed",
    "adjust_brightness",
    "adjust_contrast",
    "adjust_sharpness",
    "dilate",
    "elliptic_kernel",
    "erode",
    "flatten_vignette",
    "lesion_mask",
    "lung_mask",
]
