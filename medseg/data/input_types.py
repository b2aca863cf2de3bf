"""The file suffixes that are read, and the type of input that a path is. To add a picture format, add a line here."""

from collections.abc import Sequence
from pathlib import Path, PurePath

from monai.config import PathLike

#: Picture formats by Pillow's name, with their suffixes.
PICTURE_FORMATS: dict[str, tuple[str, ...]] = {
    "PNG": (".png",),
    "JPEG": (".jpg", ".jpeg"),
    "BMP": (".bmp",),
    "TIFF": (".tif", ".tiff"),
}
# all suffixes are in lower case; files are matched without regard to case
PICTURE_SUFFIXES = tuple(suffix for suffixes in PICTURE_FORMATS.values() for suffix in suffixes)
#: NIfTI.
VOLUME_SUFFIXES = (".nii.gz", ".nii")
#: What certainly is DICOM; most DICOM files have no suffix.
DICOM_SUFFIXES = (".dcm", ".ima", ".zip")

PICTURES, VOLUMES = "pictures", "volumes"

# subfolders of a dataset of pictures; other subfolders may hold DICOM series
_DATASET_FOLDERS = ("images", "masks", "labels")

_NAMES_SHOWN = 10


def shown(names: Sequence[str]) -> str:
    """Join names for a message: the first ten, and how many more there are."""
    more = len(names) - _NAMES_SHOWN
    return ", ".join(names[:_NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")


def has_suffix(name: PathLike, suffixes: tuple[str, ...]) -> bool:
    """Whether a file name ends with one of `suffixes`, in upper or lower case."""
    return PurePath(name).name.lower().endswith(suffixes)


def stem_of(name: PathLike, suffixes: tuple[str, ...]) -> str:
    """The file name without its folder and without the one of `suffixes` that it ends with, if it does."""
    name = PurePath(name).name
    return next((name[: -len(suffix)] for suffix in suffixes if name.lower().endswith(suffix)), name)


def detect_input_type(path: PathLike, certain: bool = False) -> set[str]:
    """What a file or a folder may hold, judged by names alone.

    Args:
        path: a file, or a folder, of which the entries and those of its `images/` count. Hidden files do not.
        certain: count only names that can be nothing else. Without it, files that have no suffix or a number for one
            (as DICOM files often have) and subfolders (which may hold DICOM series) count as volumes, and a
            subfolder of pictures as pictures.

    Returns:
        `{"pictures"}`, `{"volumes"}` (NIfTI or DICOM), both, or neither.
    """
    path = Path(path)
    entries = [path] if path.is_file() else [*_visible(path), *_visible(path / "images")]
    return {kind for entry in entries if (kind := _type_of(entry, certain)) is not None}


def _visible(folder: Path) -> list[Path]:
    return [entry for entry in folder.glob("*") if not entry.name.startswith(".")]


def _type_of(entry: Path, certain: bool) -> str | None:
    if entry.is_dir():
        if certain or entry.name in _DATASET_FOLDERS:
            return None
        inside = {_type_of(file, certain) for file in _visible(entry) if not file.is_dir()}
        return PICTURES if PICTURES in inside and VOLUMES not in inside else VOLUMES
    if has_suffix(entry, PICTURE_SUFFIXES):
        return PICTURES
    if has_suffix(entry, VOLUME_SUFFIXES + DICOM_SUFFIXES):
        return VOLUMES
    unclear = entry.suffix == "" or entry.suffix[1:].isdigit()
    return VOLUMES if unclear and not certain else None
