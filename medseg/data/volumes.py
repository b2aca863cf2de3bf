"""Listing, pairing, checking and reading of volumes: NIfTI, and DICOM series where volumes are not labeled."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from monai.config import PathLike
from monai.data import NibabelReader
from monai.utils import MetaKeys, SpaceKeys, ensure_tuple

from medseg.data.dicom.reading import load_series
from medseg.data.dicom.series import find_series, holds_dicom, is_series_path
from medseg.data.pairs import match_by_stem, read_split
from medseg.errors import InputError

__all__ = [
    "VOLUME_SUFFIXES",
    "VolumeReader",
    "check_volume_pairs",
    "find_volume_pairs",
    "find_volumes",
]

VOLUME_SUFFIXES = (".nii", ".nii.gz")

# of the entries of two affines, in mm: files round them to float32
_AFFINE_TOLERANCE = 1e-2


class VolumeReader(NibabelReader):
    """Reader for MONAI's ``LoadImaged(keys, reader=...)``: NIfTI as MONAI reads it, DICOM series in the same form.

    A series, a path that :func:`find_volumes` gave, becomes ``[X, Y, Z]`` in Hounsfield units with an affine to mm
    right, front and up, as its NIfTI does.
    """

    def verify_suffix(self, filename: Sequence[PathLike] | PathLike) -> bool:
        """Whether these are NIfTI files or DICOM series."""
        return all(is_series_path(path) for path in ensure_tuple(filename)) or super().verify_suffix(filename)

    def read(self, data: Sequence[PathLike] | PathLike, **kwargs: Any) -> Any:
        """Open one NIfTI file, or remember one series for :meth:`get_data`.

        Args:
            data: one path.
            kwargs: as for ``NibabelReader.read``.
        """
        paths = ensure_tuple(data)
        if len(paths) == 1 and is_series_path(paths[0]):
            return Path(paths[0])
        return super().read(data, **kwargs)

    def get_data(self, img: Any) -> tuple[np.ndarray, dict]:
        """The volume ``[X, Y, Z]`` and its meta data.

        Args:
            img: what :meth:`read` gave.

        Raises:
            InputError: a series cannot be used, see :func:`medseg.data.dicom.load_series`.
        """
        if not isinstance(img, Path):
            return super().get_data(img)
        volume, affine = load_series(img)
        return volume, {
            MetaKeys.AFFINE: affine,
            MetaKeys.ORIGINAL_AFFINE: affine.copy(),
            MetaKeys.SPATIAL_SHAPE: np.asarray(volume.shape),
            MetaKeys.SPACE: SpaceKeys.RAS,
            MetaKeys.ORIGINAL_CHANNEL_DIM: float("nan"),
        }


def find_volumes(path: PathLike) -> list[dict[str, str]]:
    """List the volumes to run a network on.

    Args:
        path: a NIfTI file, a folder of them (its own or, if it has none, those of its ``images/``), or, where there
            is no NIfTI, a DICOM series: a folder, a folder of folders, a zip or one file of a series.

    Returns:
        ``{"image": path}`` per volume, sorted by name; never empty. For DICOM a path that only
        :class:`VolumeReader` understands, see :func:`medseg.data.dicom.find_series`.

    Raises:
        InputError: nothing is there, or no volume, or two of the same stem, whose results would overwrite each other,
            or DICOM that cannot be read.
    """
    path = Path(path)
    if path.is_file() and path.name.lower().endswith(VOLUME_SUFFIXES):
        return [{"image": str(path)}]
    found = (_volumes_by_stem(path) or _volumes_by_stem(path / "images")) if path.is_dir() else {}
    if found:
        return [{"image": str(found[stem])} for stem in sorted(found)]
    if not path.is_dir() and not (path.is_file() and holds_dicom(path)):
        raise InputError(f"{path} is not a NIfTI or DICOM volume: give a .nii.gz, a DICOM series, or a folder of them.")
    series = find_series(path) if holds_dicom(path) else []
    if not series:
        raise InputError(f"{path} holds no volumes: put .nii or .nii.gz files or DICOM series there.")
    return series


def find_volume_pairs(dataset_dir: PathLike, split: PathLike | None = None) -> list[dict[str, str]]:
    """List the volumes and label maps of a dataset folder.

    The folder holds ``images/`` and ``labels/`` (or ``masks/``); a volume and its label map have the same name up
    to ``.nii`` or ``.nii.gz``. Other files are passed over.

    Args:
        dataset_dir: the dataset folder.
        split: as for :func:`medseg.data.find_pairs`.

    Returns:
        ``{"image": path, "label": path}`` per pair, sorted by name; never empty.

    Raises:
        InputError: a folder is missing or empty, two files of one folder have the same stem, a file has no
            counterpart, or the split file is missing, empty or names what is not there.
    """
    root = Path(dataset_dir)
    if not root.is_dir():
        raise InputError(f"The dataset folder {root} does not exist: set dataset_dir to a folder that does.")
    folders = [root / "images", root / "labels" if (root / "labels").is_dir() else root / "masks"]
    images, labels = (_volumes_by_stem(folder) for folder in folders)
    for folder, found in zip(folders, (images, labels), strict=True):
        if not found:
            raise InputError(f"{folder} holds no volumes: put .nii or .nii.gz files there.")
    wanted = None if split is None else {_stem(name) for name in read_split(root / split)}
    return match_by_stem(root, images, labels, wanted, split, kinds=("volume", "label map"))


def check_volume_pairs(*lists: Sequence[dict[str, str]]) -> None:
    """Read every volume and label map of one or several lists and report all problems in one error.

    A problem is a file that cannot be read, has not three axes or no finite value, or a label map whose shape or
    affine is not that of its volume.

    Args:
        lists: each of ``{"image": path, "label": path}`` per pair, as from :func:`find_volume_pairs`.

    Raises:
        InputError: a list is empty, or some pairs have problems.
    """
    if not all(lists):
        raise InputError("A list of volumes, to train or validate on, is empty: put volumes into images/ and labels/.")
    pairs = [pair for pairs in lists for pair in pairs]
    problems = [problem for pair in pairs if (problem := _pair_problem(pair))]
    if problems:
        raise InputError(f"{len(problems)} of {len(pairs)} volumes with label maps have problems: {' '.join(problems)}")


def _stem(name: str) -> str:
    for suffix in sorted(VOLUME_SUFFIXES, key=len, reverse=True):
        if name.lower().endswith(suffix):
            return name[: -len(suffix)]
    return name


def _volumes_by_stem(folder: Path) -> dict[str, Path]:
    """Stem -> volume of a folder; empty if there is no volume or no folder."""
    found: dict[str, Path] = {}
    for path in sorted(folder.glob("*")):
        if not path.name.lower().endswith(VOLUME_SUFFIXES) or path.name.startswith("."):
            continue
        if _stem(path.name) in found:
            raise InputError(f"{folder} holds {path.name} and {found[_stem(path.name)].name}: remove one of the two.")
        found[_stem(path.name)] = path
    return found


def _pair_problem(pair: dict[str, str]) -> str:
    broken = _problem(pair["image"]) or _problem(pair["label"])
    if broken:
        return broken
    image, label = (nibabel.load(pair[key]) for key in ("image", "label"))
    shapes = image.shape, label.shape  # type: ignore[attr-defined]
    if shapes[0] != shapes[1]:
        return f"{pair['label']} has the shape {shapes[1]}, its volume {shapes[0]}: export it again."
    if not np.allclose(image.affine, label.affine, atol=_AFFINE_TOLERANCE):  # type: ignore[attr-defined]
        return f"{pair['label']} has another affine than its volume: export it again."
    return ""


def _problem(path: str) -> str:
    if is_series_path(path):
        try:
            load_series(path)
        except InputError as error:
            return str(error)
        return ""
    try:
        image = nibabel.load(path)
        shape = image.shape  # type: ignore[attr-defined]
        values = np.asarray(image.dataobj)  # type: ignore[attr-defined]
    except Exception as error:  # nibabel and the unpacking beneath it raise many kinds
        return f"{path} cannot be read ({error}): replace it, or convert the series again."
    if len(shape) != 3:
        return f"{path} has {len(shape)} axes: give a volume of three."
    if not np.isfinite(values).any():
        return f"{path} holds no finite value: export it again."
    return ""
