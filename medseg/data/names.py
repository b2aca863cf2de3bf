"""What a case is called in every folder of results."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from monai.data.utils import create_file_basename
from monai.utils import ImageMetaKey

from medseg.data.errors import InputError

__all__ = ["case_name", "case_source"]


def case_source(meta: Mapping[str, Any]) -> str:
    """The file or folder that an image was read from.

    Args:
        meta: metadata of the image's MetaTensor.

    Raises:
        InputError: if the image knows no file.
    """
    if ImageMetaKey.FILENAME_OR_OBJ not in meta:
        raise InputError("An image knows no file that it was read from: load the images with LoadImaged.")
    return str(meta[ImageMetaKey.FILENAME_OR_OBJ])


def case_name(source: str | Path) -> str:
    """The name that MONAI's `SaveImaged` gives a result of `source`, without folder and suffix.

    Args:
        source: the file, as `scans/a.nii.gz` (case `a`), or folder that the image was read from.
    """
    return Path(create_file_basename("", source, "", separate_folder=False, makedirs=False)).name
