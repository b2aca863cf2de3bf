"""What comes in: listing, splits, checks, and readers of pictures, NIfTI and DICOM."""

from medseg.data.batches import batch_meta
from medseg.data.checks import check_pairs
from medseg.data.failures import CaseFailure, describe_failure, disk_full_error
from medseg.data.fault_tolerant_dataset import SOURCE_KEY, FaultTolerantDataset
from medseg.data.input_types import PICTURE_SUFFIXES, VOLUME_SUFFIXES, detect_input_type
from medseg.data.label_set import LabelSet
from medseg.data.listing import find_images, find_pairs, find_test_pairs, find_volume_pairs, find_volumes
from medseg.data.masks import MaskReader, decode_mask
from medseg.data.pictures import PictureReader, decode_picture
from medseg.data.sources import source_of
from medseg.data.splits import Splits, find_split, split_pairs
from medseg.data.volume_checks import check_volume_pairs
from medseg.data.volume_reader import VolumeReader

__all__ = [
    "PICTURE_SUFFIXES",
    "SOURCE_KEY",
    "VOLUME_SUFFIXES",
    "CaseFailure",
    "FaultTolerantDataset",
    "LabelSet",
    "MaskReader",
    "PictureReader",
    "Splits",
    "VolumeReader",
    "batch_meta",
    "check_pairs",
    "check_volume_pairs",
    "decode_mask",
    "decode_picture",
    "describe_failure",
    "detect_input_type",
    "disk_full_error",
    "find_images",
    "find_pairs",
    "find_split",
    "find_test_pairs",
    "find_volume_pairs",
    "find_volumes",
    "source_of",
    "split_pairs",
]
