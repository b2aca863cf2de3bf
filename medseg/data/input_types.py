"""Telling pictures from volumes by their names."""

from pathlib import Path

from monai.config import PathLike

from medseg.data.pictures import PICTURE_SUFFIXES
from medseg.data.volumes import VOLUME_SUFFIXES

__all__ = ["PICTURES", "VOLUMES", "detect_input_type"]

PICTURES, VOLUMES = "pictures", "volumes"

# folders of a dataset of pictures, which make it no tree of series
_DATASET_FOLDERS = ("images", "masks", "labels")
_DICOM_SUFFIXES = (".dcm", ".ima", ".zip")


def detect_input_type(path: PathLike, certain: bool = False) -> set[str]:
    """What a file or a folder may hold, judged by names alone.

    Args:
        path: a file, or a folder: what lies in it and in its ``images/`` counts. Hidden files do not.
        certain: whether to pass over what may as well be something else: files without a suffix (or with a number
            for one), which series often have, and folders, which may hold series.

    Returns:
        ``{"pictures"}``, ``{"volumes"}`` (NIfTI, or perhaps DICOM), both, or neither.
    """
    path = Path(path)
    entries = [path] if path.is_file() else [*_visible(path), *_visible(path / "images")]
    return {kind for entry in entries if (kind := _kind(entry, certain)) is not None}


def _visible(folder: Path) -> list[Path]:
    return [entry for entry in folder.glob("*") if not entry.name.startswith(".")]


def _kind(entry: Path, certain: bool) -> str | None:
    suffix = entry.suffix.lower()
    if entry.is_dir():
        return None if certain or entry.name in _DATASET_FOLDERS else VOLUMES
    if suffix in PICTURE_SUFFIXES:
        return PICTURES
    if entry.name.lower().endswith(VOLUME_SUFFIXES) or suffix in _DICOM_SUFFIXES:
        return VOLUMES
    return VOLUMES if not certain and (suffix == "" or suffix[1:].isdigit()) else None
