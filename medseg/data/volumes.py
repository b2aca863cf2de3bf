"""Listing, pairing and checking of NIfTI volumes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import nibabel
import numpy as np
from monai.config import PathLike

from medseg.data.checks import CheckedImages
from medseg.data.errors import InputError
from medseg.data.pairs import match_by_stem, read_split

__all__ = ["VOLUME_SUFFIXES", "check_volume_pairs", "check_volumes", "find_volume_pairs", "find_volumes"]

VOLUME_SUFFIXES = (".nii", ".nii.gz")

# of the entries of two affines, in mm: files round them to float32
_AFFINE_TOLERANCE = 1e-2


def find_volumes(path: PathLike) -> list[dict[str, str]]:
    """List the NIfTI volumes to run a network on.

    Args:
        path: one volume, or a folder: its own volumes or, if it has none, those of its ``images/``.

    Returns:
        ``{"image": path}`` per volume, sorted by name; never empty.

    Raises:
        InputError: nothing is there, or no volume, or two of the same stem, whose results would overwrite each other.
    """
    path = Path(path)
    if path.is_file() and path.name.lower().endswith(VOLUME_SUFFIXES):
        return [{"image": str(path)}]
    if not path.is_dir():
        raise InputError(f"{path} is not a NIfTI volume: give a .nii or .nii.gz file or a folder of them.")
    found = _volumes_by_stem(path) or _volumes_by_stem(path / "images")
    if not found:
        raise InputError(f"{path} holds no volumes: put .nii or .nii.gz files there.")
    return [{"image": str(found[stem])} for stem in sorted(found)]


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


def check_volumes(items: Sequence[dict[str, str]]) -> CheckedImages:
    """Tell the readable volumes, of three axes and with finite values, from the broken ones.

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
