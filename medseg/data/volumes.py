"""Listing and checking of NIfTI volumes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import nibabel
import numpy as np
from monai.config import PathLike

from medseg.data.checks import CheckedImages
from medseg.data.errors import InputError

__all__ = ["VOLUME_SUFFIXES", "check_volumes", "find_volumes"]

VOLUME_SUFFIXES = (".nii", ".nii.gz")


def find_volumes(path: PathLike) -> list[dict[str, str]]:
    """List the NIfTI volumes to run a network on.

    Args:
        path: one volume, or a folder: its own volumes or, if it has none, those of its ``images/``.

    Returns:
        ``{"image": path}`` per volume, sorted by name; never empty.

    Raises:
        InputError: nothing is there, or no volume.
    """
    path = Path(path)
    if path.is_file() and path.name.lower().endswith(VOLUME_SUFFIXES):
        return [{"image": str(path)}]
    if not path.is_dir():
        raise InputError(f"{path} is not a NIfTI volume: give a .nii or .nii.gz file or a folder of them.")
    for folder in (path, path / "images"):
        found = sorted(str(file) for file in folder.glob("*") if file.name.lower().endswith(VOLUME_SUFFIXES))
        if found:
            return [{"image": file} for file in found]
    raise InputError(f"{path} holds no volumes: put .nii or .nii.gz files there.")


def check_volumes(items: Sequence[dict[str, str]]) -> CheckedImages:
    """Tell the readable volumes of three axes from the broken ones.

    Args:
        items: ``{"image": path}`` per volume, as from :func:`find_volumes`.

    Returns:
        the readable items in their order, and one sentence per broken one. Both are empty for no items.
    """
    reasons = [_problem(item["image"]) for item in items]
    return CheckedImages(
        readable=[item for item, reason in zip(items, reasons, strict=True) if not reason],
        problems=[reason for reason in reasons if reason],
    )


def _problem(path: str) -> str:
    try:
        image = nibabel.load(path)
        shape = image.shape  # type: ignore[attr-defined]
        np.asarray(image.dataobj)  # type: ignore[attr-defined]
    except Exception as error:  # nibabel and the unpacking beneath it raise many kinds
        return f"{path} cannot be read ({error}): replace it, or convert the series again."
    if len(shape) != 3:
        return f"{path} has {len(shape)} axes: give a volume of three."
    return ""
