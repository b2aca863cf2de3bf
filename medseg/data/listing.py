"""Lists of images, volumes and pairs with their labels, found in folders."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from monai.config import PathLike

from medseg.data.dicom.series import find_series, holds_dicom
from medseg.data.input_types import PICTURE_SUFFIXES, VOLUME_SUFFIXES, has_suffix, shown, stem_of
from medseg.data.splits import find_split, read_split, split_path
from medseg.errors import InputError


class _Kind(NamedTuple):
    """A kind of input: its suffixes, and what messages call its files."""

    suffixes: tuple[str, ...]
    files: str
    image: str
    label: str

    @property
    def wanted(self) -> str:
        return ", ".join(suffix[1:] for suffix in self.suffixes)


_PICTURE = _Kind(PICTURE_SUFFIXES, "pictures", "image", "mask")
_VOLUME = _Kind(VOLUME_SUFFIXES, "volumes", "volume", "label map")


def find_images(path: PathLike) -> list[dict[str, str]]:
    """List the pictures to run a network on.

    Args:
        path: one picture, or a folder: its own pictures or, if it has none, those of its `images/`.

    Returns:
        `{"image": path}` per picture, sorted by stem; never empty.

    Raises:
        InputError: Nothing is there, the file is no picture, or two pictures of the folder have the same stem, so that
            their masks would overwrite each other.
    """
    path = Path(path)
    if path.is_file():
        if not has_suffix(path, PICTURE_SUFFIXES):
            raise InputError(f"{path} is not a picture: give a {_PICTURE.wanted} file or a folder of them.")
        return [{"image": str(path)}]
    if not path.is_dir():
        raise InputError(f"{path} does not exist: give a picture or a folder of pictures.")
    found = _by_stem(path, _PICTURE) or _by_stem(path / "images", _PICTURE)
    if not found:
        if folders := [str(folder) for folder in sorted(path.glob("*/")) if _by_stem(folder, _PICTURE)]:
            raise InputError(f"{path} holds pictures in subfolders only: give one of them, {shown(folders)}.")
        raise InputError(f"{path} holds no pictures: put {_PICTURE.wanted} files there.")
    return [{"image": str(file)} for file in found.values()]


def find_volumes(path: PathLike) -> list[dict[str, str]]:
    """List the volumes to run a network on.

    Args:
        path: a NIfTI file; a folder of them (its own or, if it has none, those of its `images/`); or, where there is no
            NIfTI, DICOM: a folder, a folder of folders, a zip, or one file of a series.

    Returns:
        `{"image": path}` per volume, sorted by name; never empty. The path of a DICOM series is one that only
        `VolumeReader` reads, see `medseg.data.dicom.find_series`.

    Raises:
        InputError: There is no volume, two have the same stem, so that their results would overwrite each other, or
            DICOM files cannot be read.
    """
    path = Path(path)
    if path.is_file() and has_suffix(path, VOLUME_SUFFIXES):
        return [{"image": str(path)}]
    if found := _by_stem(path, _VOLUME) or _by_stem(path / "images", _VOLUME):
        return [{"image": str(file)} for file in found.values()]
    if not path.is_dir() and not (path.is_file() and holds_dicom(path)):
        raise InputError(f"{path} is not a NIfTI or DICOM volume: give a .nii.gz, a DICOM series, or a folder of them.")
    series = find_series(path) if holds_dicom(path) else []
    if not series:
        raise InputError(f"{path} holds no volumes: put .nii or .nii.gz files or DICOM series there.")
    return series


def find_pairs(dataset_dir: PathLike, split: PathLike | None = None, mask_suffix: str = "") -> list[dict[str, str]]:
    """List the pictures and masks of a dataset folder.

    The folder holds `images/` and `masks/`, or pictures and masks that differ by `mask_suffix`, itself or in `images/`.
    A mask has the stem of its picture with `mask_suffix`, and any of the suffixes of pictures. Hidden files and other
    suffixes are ignored.

    Args:
        dataset_dir: the dataset folder.
        split: file of the stems to list, see `split_path` and `read_split`; `None` lists all.
        mask_suffix: end of the stems of masks, for example `_mask`.

    Returns:
        `{"image": path, "label": path}` per pair, sorted by stem; never empty.

    Raises:
        InputError: A folder is missing or empty, two files of one folder have the same stem, a file has no
            counterpart, or the split file is missing, empty or names stems that are not there.
    """
    return _find_pairs(Path(dataset_dir), "masks", split, _PICTURE, mask_suffix or "")


def find_volume_pairs(dataset_dir: PathLike, split: PathLike | None = None) -> list[dict[str, str]]:
    """List the NIfTI volumes and label maps of a dataset folder.

    Args:
        dataset_dir: the dataset folder. It holds `images/` and `labels/` (or `masks/`).
        split: as for `find_pairs`.

    Returns:
        As `find_pairs`.

    Raises:
        InputError: As `find_pairs`.
    """
    root = Path(dataset_dir)
    return _find_pairs(root, "labels" if (root / "labels").is_dir() else "masks", split, _VOLUME)


def find_test_pairs(
    test_sets: Mapping[str, PathLike | Sequence[PathLike]] | None,
    dataset_dir: PathLike,
    find: Callable[..., list[dict[str, str]]] = find_pairs,
    mask_suffix: str = "",
) -> list[dict[str, str]]:
    """List the pairs of several named test folders, one after the other.

    Args:
        test_sets: name -> folder, or name -> `[folder, split file]`; without a split file, `test.txt` of the folder is
            used if there is one. `None` for the one folder `dataset_dir`, under its own name.
        dataset_dir: the dataset folder, used where `test_sets` is `None`.
        find: what lists the pairs of a folder: `find_pairs` or `find_volume_pairs`.
        mask_suffix: as for `find_pairs`.

    Returns:
        `{"image": path, "label": path, "set_name": name}` per pair.

    Raises:
        InputError: As `find_pairs`, or there are no test sets, or an entry is neither a folder nor two paths.
    """
    if test_sets is None:
        test_sets = {Path(dataset_dir).resolve().name: dataset_dir}
    if not isinstance(test_sets, Mapping) or not test_sets:
        raise InputError(f"test_sets must map names to folders, for example {{'Kvasir': '/data'}}, got {test_sets!r}.")
    pairs = []
    for name, place in test_sets.items():
        folder, *split = [place] if isinstance(place, str | os.PathLike) else place
        if len(split) > 1:
            raise InputError(f"test_sets['{name}'] must be a folder or [folder, split file], got {place!r}.")
        file = find_split(folder, split[0] if split else None, "test.txt")
        found = find(folder, file, mask_suffix) if mask_suffix else find(folder, file)
        pairs += [{**pair, "set_name": str(name)} for pair in found]
    return pairs


def _find_pairs(
    root: Path, label_folder: str, split: PathLike | None, kind: _Kind, suffix: str = ""
) -> list[dict[str, str]]:
    if not root.is_dir():
        raise InputError(f"The dataset folder {root} does not exist: set dataset_dir to a folder that does.")
    joint = _in_one_folder(root, label_folder, kind)
    if joint and suffix:
        labels = {stem: file for stem, file in joint.items() if stem.endswith(suffix)}
        images = {stem: file for stem, file in joint.items() if stem not in labels}
    elif joint and (likely := _likely_suffix(joint, joint)):
        raise InputError(f"{root} holds {kind.image}s and {kind.label}s in one folder: pass --mask_suffix {likely}.")
    else:
        images, labels = (_in_subfolder(root, name, kind) for name in ("images", label_folder))
    labels = {stem.removesuffix(suffix): file for stem, file in labels.items() if stem.endswith(suffix)}
    if not labels:
        raise InputError(f"{root} holds no {kind.label} whose name ends with {suffix}: correct mask_suffix.")
    stems = sorted(images.keys() | labels.keys())
    if split is not None:
        file = split_path(root, split)
        stems = sorted(read_split(file, kind.suffixes))
        if unknown := [stem for stem in stems if stem not in images and stem not in labels]:
            raise InputError(f"{file} names {shown(unknown)}, which {root} does not hold: correct the split file.")
    lonely = [
        f"{here[stem].parent.name}/{here[stem].name} (no {missing})"
        for here, there, missing in ((images, labels, kind.label), (labels, images, kind.image))
        for stem in stems
        if stem not in there
    ]
    if lonely:
        raise InputError(
            f"{root} holds files without their counterpart: {shown(lonely)}. "
            + (
                f"Pass --mask_suffix {likely}."
                if not suffix and (likely := _likely_suffix(images, labels))
                else f"Give a {kind.label} the name of its {kind.image}, or list the complete pairs in a split file."
            )
        )
    return [{"image": str(images[stem]), "label": str(labels[stem])} for stem in stems]


def _in_one_folder(root: Path, label_folder: str, kind: _Kind) -> dict[str, Path]:
    """The files of a dataset folder without one for labels, its own or those of `images/`; else none."""
    if kind is not _PICTURE or (root / label_folder).is_dir():
        return {}
    return _by_stem(root if not (root / "images").is_dir() else root / "images", kind)


def _likely_suffix(images: Mapping[str, Path], labels: Mapping[str, Path]) -> str:
    """What makes stems of labels of all stems of images, those that end with it apart; empty if nothing does."""
    first = next(iter(sorted(images, key=len)), "")
    for suffix in (label[len(first) :] for label in labels if label.startswith(first) and label != first):
        stems = [stem for stem in images if not stem.endswith(suffix)]
        if stems and not suffix.isdigit() and all(stem + suffix in labels for stem in stems):
            return suffix
    return ""


def _in_subfolder(root: Path, name: str, kind: _Kind) -> dict[str, Path]:
    if not (root / name).is_dir():
        raise InputError(f"{root} has no folder {name}/: put the {kind.files} there ({kind.wanted}).")
    found = _by_stem(root / name, kind)
    if not found:
        raise InputError(f"{root / name} holds no {kind.files}: put them there ({kind.wanted}).")
    return found


def _by_stem(folder: Path, kind: _Kind) -> dict[str, Path]:
    """Stem -> file of a folder's visible files of a kind, sorted by stem; empty if there is no such folder."""
    found: dict[str, Path] = {}
    twice = []
    for path in sorted(folder.glob("*")) if folder.is_dir() else ():
        if path.name.startswith(".") or not has_suffix(path, kind.suffixes) or path.is_dir():
            continue
        stem = stem_of(path, kind.suffixes)
        if stem in found:
            twice.append(f"{found[stem].name} / {path.name}")
        found[stem] = path
    if twice:
        raise InputError(f"{folder} holds files of the same stem: {shown(twice)}. Rename or remove one of each.")
    return dict(sorted(found.items()))
