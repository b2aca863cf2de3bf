"""Lists of images and of image and mask pairs, found in folders."""

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from monai.config import PathLike

from medseg.data.pictures import PICTURE_SUFFIXES
from medseg.errors import InputError

__all__ = ["Splits", "find_images", "find_pairs", "find_split", "find_test_pairs", "split_pairs"]

_NAMES_SHOWN = 10


class Splits(NamedTuple):
    """Pairs to train on and pairs to validate on."""

    training: list[dict[str, str]]
    validation: list[dict[str, str]]


def find_pairs(dataset_dir: PathLike, split: PathLike | None = None) -> list[dict[str, str]]:
    """List the images and masks of a dataset folder.

    The folder holds ``images/`` and ``masks/``; an image and its mask have the same stem and any of the
    suffixes png, jpg, jpeg, bmp, tif and tiff. Hidden files and other suffixes are passed over.

    Args:
        dataset_dir: the dataset folder.
        split: text file with one stem per line (blank lines, a folder and a picture suffix are tolerated),
            absolute or relative to ``dataset_dir``; only these pairs are listed. ``None`` lists all.

    Returns:
        ``{"image": path, "label": path}`` per pair, sorted by stem; never empty.

    Raises:
        InputError: a folder is missing or empty, two files of one folder have the same stem, an image has no
            mask or a mask no image, or the split file is missing, empty or names stems that are not there.
    """
    root = Path(dataset_dir)
    images, masks = (_by_stem(_pictures_in_subfolder(root, name)) for name in ("images", "masks"))
    wanted = None if split is None else read_split(root / split)
    return match_by_stem(root, images, masks, wanted, split)


def match_by_stem(
    root: Path,
    images: Mapping[str, Path],
    labels: Mapping[str, Path],
    wanted: Iterable[str] | None,
    split: PathLike | None,
    kinds: tuple[str, str] = ("image", "mask"),
) -> list[dict[str, str]]:
    """Join two folders' files of the same stem; only those that are wanted, if anybody said so.

    Args:
        root: the dataset folder, for messages.
        images: stem -> file.
        labels: stem -> file.
        wanted: stems that the split file names; ``None`` for all.
        split: the split file, for messages.
        kinds: what to call the files of the two folders in messages.

    Raises:
        InputError: the split names stems that are not there, or a file has no counterpart.
    """
    stems = sorted(images.keys() | labels.keys() if wanted is None else wanted)
    unknown = [stem for stem in stems if stem not in images and stem not in labels]
    if unknown:
        raise InputError(
            f"{root / str(split)} names {shown(unknown)}, which {root} does not hold: correct the split file."
        )
    image, label = kinds
    lonely = [
        f"{here[stem].parent.name}/{here[stem].name} (no {missing})"
        for here, there, missing in ((images, labels, label), (labels, images, image))
        for stem in stems
        if stem not in there
    ]
    if lonely:
        raise InputError(
            f"{root} holds files without their counterpart: {shown(lonely)}. "
            f"Give a {label} the name of its {image}, or list the complete pairs in a split file."
        )
    return [{"image": str(images[stem]), "label": str(labels[stem])} for stem in stems]


def find_split(dataset_dir: PathLike, split_file: PathLike | None, default: str) -> Path | None:
    """The split file to use: the one that was asked for, else the folder's own, else none.

    Args:
        dataset_dir: the dataset folder.
        split_file: absolute or relative to ``dataset_dir``; ``None`` if nobody asked for one.
        default: name of the file that counts if it lies in ``dataset_dir``, e.g. ``train.txt``.
    """
    if split_file is not None:
        return Path(dataset_dir) / split_file
    own = Path(dataset_dir) / default
    return own if own.is_file() else None


def find_test_pairs(
    test_sets: Mapping[str, PathLike | Sequence[PathLike]] | None,
    dataset_dir: PathLike,
    find: Callable[[PathLike, PathLike | None], list[dict[str, str]]] = find_pairs,
) -> list[dict[str, str]]:
    """List the pairs of several named test folders, one after the other.

    Args:
        test_sets: name -> folder, or name -> ``[folder, split file]``; without a split file, ``test.txt`` of the
            folder counts if there is one. ``None`` for the one folder ``dataset_dir``, under its own name.
        dataset_dir: the dataset folder, used where ``test_sets`` is ``None``.
        find: what lists the pairs of a folder; :func:`medseg.data.find_volume_pairs` for volumes.

    Returns:
        ``{"image": path, "label": path, "set_name": name}`` per pair.

    Raises:
        InputError: as :func:`find_pairs`, or there are no test sets, or an entry is neither a folder nor two paths.
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
        found = find(folder, find_split(folder, split[0] if split else None, "test.txt"))
        pairs += [{**pair, "set_name": str(name)} for pair in found]
    return pairs


def split_pairs(pairs: Sequence[dict[str, str]], val_fraction: float, seed: int) -> Splits:
    """Divide pairs into training and validation.

    The order of ``pairs`` does not matter, and pairs added later move few of the others: each stem is
    ranked by a hash of itself and the seed.

    Args:
        pairs: as from :func:`find_pairs`.
        val_fraction: share of the validation pairs, between 0 and 1 exclusive; at least one pair stays on
            each side.
        seed: another seed gives another division.

    Returns:
        the pairs to train on and to validate on, each sorted by stem.

    Raises:
        ValueError: ``val_fraction`` is out of range.
        InputError: fewer than two pairs.
    """
    if not 0 < val_fraction < 1:
        raise ValueError(f"val_fraction must lie between 0 and 1, got {val_fraction}.")
    if len(pairs) < 2:
        raise InputError(
            f"{len(pairs)} pair cannot be divided into training and validation: add more images and masks."
        )
    ranked = sorted(pairs, key=partial(_rank, seed))
    count = min(max(round(len(pairs) * val_fraction), 1), len(pairs) - 1)
    return Splits(training=sorted(ranked[count:], key=_stem), validation=sorted(ranked[:count], key=_stem))


def find_images(path: PathLike) -> list[dict[str, str]]:
    """List the images to run a network on.

    Args:
        path: one picture, or a folder: its own pictures or, if it has none, those of its ``images/``.

    Returns:
        ``{"image": path}`` per picture, sorted by stem; never empty.

    Raises:
        InputError: nothing is there, the file's suffix is not a picture's, or two pictures of the folder have
            the same stem, so that their masks would overwrite each other.
    """
    path = Path(path)
    if path.is_file():
        if path.suffix.lower() not in PICTURE_SUFFIXES:
            raise InputError(f"{path} is not a picture: give a {_suffixes()} file or a folder of them.")
        return [{"image": str(path)}]
    if not path.is_dir():
        raise InputError(f"{path} does not exist: give a picture or a folder of pictures.")
    pictures = _pictures(path)
    if not pictures and (path / "images").is_dir():
        pictures = _pictures(path / "images")
    if not pictures:
        raise InputError(f"{path} holds no pictures: put {_suffixes()} files there.")
    found = _by_stem(pictures)
    return [{"image": str(found[stem])} for stem in sorted(found)]


def shown(names: Sequence[str]) -> str:
    """Join names for a message: the first ten, and how many more there are."""
    more = len(names) - _NAMES_SHOWN
    return ", ".join(names[:_NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _suffixes() -> str:
    return ", ".join(suffix[1:] for suffix in PICTURE_SUFFIXES)


def _stem(pair: dict[str, str]) -> str:
    return Path(pair["image"]).stem


def _rank(seed: int, pair: dict[str, str]) -> tuple[str, str]:
    stem = _stem(pair)
    return hashlib.sha256(f"{seed}:{stem}".encode()).hexdigest(), stem


def _pictures(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in PICTURE_SUFFIXES and not path.name.startswith(".") and path.is_file()
    )


def _pictures_in_subfolder(root: Path, name: str) -> list[Path]:
    if not root.is_dir():
        raise InputError(f"The dataset folder {root} does not exist: set dataset_dir to a folder that does.")
    if not (root / name).is_dir():
        raise InputError(f"{root} has no folder {name}/: put the {name} there ({_suffixes()}).")
    pictures = _pictures(root / name)
    if not pictures:
        raise InputError(f"{root / name} holds no pictures: put the {name} there ({_suffixes()}).")
    return pictures


def _by_stem(pictures: Iterable[Path]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    twice = []
    for path in pictures:
        if path.stem in found:
            twice.append(f"{found[path.stem].name} / {path.name}")
        found[path.stem] = path
    if twice:
        raise InputError(f"{path.parent} holds files of the same stem: {shown(twice)}. Rename or remove one of each.")
    return found


def read_split(path: Path) -> set[str]:
    """The stems that a split file names, or an InputError."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"The split file {path} cannot be read ({error}): give a text file, one stem per line."
        ) from error
    names = [Path(line.strip()) for line in lines if line.strip()]
    if not names:
        raise InputError(f"The split file {path} is empty: write one stem per line.")
    return {name.stem if name.suffix.lower() in PICTURE_SUFFIXES else name.name for name in names}
