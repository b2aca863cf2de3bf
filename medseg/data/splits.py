"""Split files, and the division of pairs into training and validation."""

import hashlib
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from monai.config import PathLike

from medseg.data.input_types import stem_of
from medseg.errors import InputError


class Splits(NamedTuple):
    """Pairs to train on and pairs to validate on."""

    training: list[dict[str, str]]
    validation: list[dict[str, str]]


def split_path(dataset_dir: PathLike, split_file: PathLike) -> Path:
    """Where a split file lies: the one place that decides it.

    Args:
        dataset_dir: the dataset folder, absolute or relative to the working directory.
        split_file: absolute, or relative to `dataset_dir` (never to the working directory).

    Returns:
        An absolute path, which this function returns unchanged when it gets it again.
    """
    return Path(dataset_dir).absolute() / split_file


def find_split(dataset_dir: PathLike, split_file: PathLike | None, default: str) -> Path | None:
    """The split file to use: the given one, else the one in the dataset folder, else none.

    Args:
        dataset_dir: the dataset folder.
        split_file: as for `split_path`; `None` if none is given.
        default: name of the file that is used if it lies in `dataset_dir`, e.g. `train.txt`.
    """
    if split_file is not None:
        return split_path(dataset_dir, split_file)
    own = split_path(dataset_dir, default)
    return own if own.is_file() else None


def read_split(path: Path, suffixes: tuple[str, ...]) -> set[str]:
    """The stems in a split file.

    Args:
        path: text file with one stem per line; blank lines, folders and the suffixes are ignored.
        suffixes: suffixes of the files that it names.

    Raises:
        InputError: The file cannot be read or is empty.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"The split file {path} cannot be read ({error}): give a text file with one stem per line, by an absolute "
            "path or by its path in the dataset folder."
        ) from error
    stems = {stem_of(line.strip(), suffixes) for line in lines if line.strip()}
    if not stems:
        raise InputError(f"The split file {path} is empty: write one stem per line.")
    return stems


def split_pairs(pairs: Sequence[dict[str, str]], val_fraction: float, seed: int) -> Splits:
    """Divide pairs into training and validation.

    The order of `pairs` does not matter, and pairs added later move few of the others: pairs are ranked by a hash of
    stem and seed.

    Args:
        pairs: as from `find_pairs` or `find_volume_pairs`.
        val_fraction: share of the validation pairs, between 0 and 1 exclusive; at least one pair stays on each side.
        seed: another seed gives another division.

    Returns:
        Both parts, sorted by stem.

    Raises:
        ValueError: `val_fraction` is out of range.
        InputError: There are fewer than two pairs.
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


def _stem(pair: dict[str, str]) -> str:
    return Path(pair["image"]).stem


def _rank(seed: int, pair: dict[str, str]) -> tuple[str, str]:
    stem = _stem(pair)
    return hashlib.sha256(f"{seed}:{stem}".encode()).hexdigest(), stem
