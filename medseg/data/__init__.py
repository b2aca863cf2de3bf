"""Reading, pairing, checking and writing of data, and the embedded default data."""

from __future__ import annotations

from medseg.data.checks import CheckedImages, check_images, check_pairs
from medseg.data.errors import InputError
from medseg.data.kinds import kinds_of_input
from medseg.data.names import case_name, case_source
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
from medseg.data.remaining import ResultsFolder, remaining
from medseg.data.tolerant import CaseProblem, TolerantDataset, disk_trouble, problem_of
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
    "CaseProblem",
    "CheckedImages",
    "InputError",
    "MaskReader",
    "PictureReader",
    "PictureWriter",
    "ResultsFolder",
    "Splits",
    "TolerantDataset",
    "VolumePhantom",
    "VolumeReader",
    "VolumeWriter",
    "case_name",
    "case_source",
    "check_images",
    "check_pairs",
    "check_volume_pairs",
    "check_volumes",
    "decode_mask",
    "decode_picture",
    "disk_trouble",
    "find_images",
    "find_pairs",
    "find_split",
    "find_test_pairs",
    "find_volume_pairs",
    "find_volumes",
    "kinds_of_input",
    "lesion_phantom",
    "lung_phantom",
    "lung_volume_phantom",
    "polyp_phantom",
    "problem_of",
    "remaining",
    "split_pairs",
    "write_phantoms",
]
