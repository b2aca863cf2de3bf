"""Transforms that MONAI does not have."""

from medseg.transforms.antialiased_resize import AntialiasedResize, AntialiasedResized
from medseg.transforms.argmax_invert import ArgmaxInvertd
from medseg.transforms.channel_mix import ChannelMixd
from medseg.transforms.cluster_color import ClusterColord
from medseg.transforms.cluster_to_mask import ClusterToMaskd
from medseg.transforms.color_jitter import RandColorJitterd
from medseg.transforms.flatten_vignette import FlattenVignetted
from medseg.transforms.label_groups import LabelGroupsd
from medseg.transforms.mask_strategies import MASK_STRATEGIES, lesion_mask, lung_mask
from medseg.transforms.rand_dilate_erode import RandDilateEroded
from medseg.transforms.rand_image_enhance import RandImageEnhanced
from medseg.transforms.save_dicom_seg import SaveDicomSegd
from medseg.transforms.save_image_volume import SaveImageVolumed

__all__ = [
    "MASK_STRATEGIES",
    "AntialiasedResize",
    "AntialiasedResized",
    "ArgmaxInvertd",
    "ChannelMixd",
    "ClusterColord",
    "ClusterToMaskd",
    "FlattenVignetted",
    "LabelGroupsd",
    "RandColorJitterd",
    "RandDilateEroded",
    "RandImageEnhanced",
    "SaveDicomSegd",
    "SaveImageVolumed",
    "lesion_mask",
    "lung_mask",
]
