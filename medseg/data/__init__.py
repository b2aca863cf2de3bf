"""Reading, pairing, checking and writing of data, and the embedded default data."""

from __future__ import annotations

from medseg.data.checks import check_images, check_pairs
from medseg.data.errors import InputError
from medseg.data.pairs import find_images, find_pairs, split_pairs
from medseg.data.phantoms import PHANTOMS, polyp_phantom, write_phantoms
from medseg.data.readers import PICTURE_SUFFIXES, MaskReader, PictureReader, decode_mask, decode_picture
from medseg.data.writers import PictureWriter

__all__ = [
    "PHANTOMS",
    "PICTURE_SUFFIXES",
    "InputError",
    "MaskReader",
    "PictureReader",
    "PictureWriter",
    "check_images",
    "check_pairs",
    "decode_mask",
    "decode_picture",
    "find_images",
    "find_pairs",
    "polyp_phantom",
    "split_pairs",
    "write_phantoms",
]
