"""Reading, pairing, checking and writing of data, and the embedded default data."""

from __future__ import annotations

from medseg.data.checks import CheckedImages, check_images, check_pairs
from medseg.data.errors import InputError
from medseg.data.pairs import Splits, find_images, find_pairs, find_split, find_test_pairs, split_pairs
from medseg.data.phantoms import (
    PHANTOMS,
    VOLUME_PHANTOMS,
    VolumePhantom,
    lesion_phantom,
    lung_phantom,
    lung_volume_phantom,
    polyp_phantom,
    write_phantoms,
)
from medseg.data.readers import PICTURE_SUFFIXES, MaskReader, PictureReader, decode_mask, decode_picture
from medseg.data.volumes import (
    VOLUME_SUFFIXES,
    VolumeReader,
    check_volume_pairs,
    check_volumes,
    find_volume_pairs,
    find_volumes,
)
from medseg.data.writers import PictureWriter, VolumeWriter

__all__ = [
    "PHANTOMS",
    "PICTURE_SUFFIXES",
    "VOLUME_PHANTOMS",
    "VOLUME_SUFFIXES",
    "CheckedImages",
    "InputError",
    "MaskReader",
    "PictureReader",
    "PictureWriter",
    "Splits",
    "VolumePhantom",
    "VolumeReader",
    "VolumeWriter",
    "check_images",
    "check_pairs",
    "check_volume_pairs",
    "check_volumes",
    "decode_mask",
    "decode_picture",
    "find_images",
    "find_pairs",
    "find_split",
    "find_test_pairs",
    "find_volume_pairs",
    "find_volumes",
    "lesion_phantom",
    "lung_phantom",
    "lung_volume_phantom",
    "polyp_phantom",
    "split_pairs",
    "write_phantoms",
]
