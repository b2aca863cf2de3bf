"""Lists of images and of image and mask pairs, found in folders."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

from monai.config import PathLike

from medseg.data.errors import InputError
from medseg.data.readers import PICTURE_SUFFIXES

__all__ = ["find_images", "find_pairs", "split_pairs"]

_NAMES_SHOWN = 10


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
    stems = sorted(images.keys() | masks.keys())
    if split is not None:
        wanted = _read_split(root / split)
        unknown = sorted(wanted - set(stems))
        if unknown:
            raise InputError(
                f"{root / split} names {shown(unknown)}, which {root} does not hold: correct the split file."
            )
        stems = sorted(wanted)
    lonely = [f"images/{images[s].name} (no mask)" for s in stems if s not in masks]
    lonely += [f"masks/{masks[s].name} (no image)" for s in stems if s not in images]
    if lonely:
        raise InputError(
            f"{root} holds files without their counterpart: {shown(lonely)}. "
            "Give an image and its mask the same name, or list the complete pairs in a split file."
        )
    return [{"image": str(images[stem]), "label": str(masks[stem])} for stem in stems]


def split_pairs(
    pairs: Sequence[dict[str, str]], val_fraction: float, seed: int
) -> dict[str, list[dict[str, str]]]:
    """Divide pairs into training and validation.

    The order of ``pairs`` does not matter, and pairs added later move few of the others: each stem is
    ranked by a hash of itself and the seed.

    Args:
        pairs: as from :func:`find_pairs`.
        val_fraction: share of the validation pairs, between 0 and 1 exclusive; at least one pair stays on
            each side.
        seed: another seed gives another division.

    Returns:
        ``{"training": pairs, "validation": pairs}``, each sorted by stem.

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
    return {
        "training": sorted(ranked[count:], key=_stem),
        "validation": sorted(ranked[:count], key=_stem),
    }


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
        raise InputError(
            f"{path.parent} holds files of the same stem: {shown(twice)}. Rename or remove one of each."
        )
    return found


def _read_split(path: Path) -> set[str]:
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
