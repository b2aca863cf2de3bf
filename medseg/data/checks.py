"""Checks of whole datasets before the first step. Nothing here writes a file."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from PIL import ExifTags, Image
from scipy.ndimage import maximum_filter, minimum_filter

from medseg.data.input_types import shown
from medseg.data.masks import MaskReader, UnknownValuesError, mask_luminance
from medseg.data.pictures import decode_picture
from medseg.errors import InputError

_MISSING = "missing file, put it there or leave the pair out of the list"
_UNREADABLE = "unreadable file, replace it or save it again as an 8-bit PNG"
_SIZE = "image and mask differ in size (height x width), export the mask again in its image's size"
_GRAY = "mask that is not black and white (over 5 % of it is gray), is it in the wrong folder?"
_DARK = (
    "mask that is not empty but nowhere brighter than 127, save its foreground as 255, or name its classes in classes"
)
_VALUES = "mask with values of no class, give those of the classes as label_values, one that does not count as ignore"
_CLASSES = (
    'mask of more than two values, list its classes, as in --classes "[background,polyp,instrument]", or save it as '
    "black and white"
)

_GRAY_RANGE = (32, 223)
_GRAY_SHARE = 0.05
_FURTHER_SHARE = 0.01
_FEW = 16  # values that a file without JPEG's noise may have
_NOISE = 8
_SWAPPING_ORIENTATIONS = (5, 6, 7, 8)

_In = TypeVar("_In")
_Out = TypeVar("_Out")


class _Problem(NamedTuple):
    kind: str
    name: str


def check_pairs(*lists: Sequence[dict[str, str]], reader: MaskReader | None = None) -> None:
    """Decode every image and mask of one or several lists and report all problems in one error.

    A problem is a missing or unreadable file, a mask of another size than its image, and a mask that `reader` cannot
    divide into its classes. A binary mask is none if more than 5 % of its pixels are gray (between 32 and 223), if it
    has values but none above 127, or if it seems to have further classes (`_further_values`).

    Args:
        lists: each of ``{"image": path, "label": path}`` per pair, as from :func:`medseg.data.find_pairs`.
        reader: what the masks will be read with; None for one of binary masks.

    Raises:
        InputError: a list is empty, or some pairs have problems; the message groups them by kind and names up to
            ten files of each.
    """
    if not all(lists):
        raise InputError(
            "A list of image and mask pairs, to train or validate on, is empty: put pictures into images/ and masks/."
        )
    pairs = [pair for pairs in lists for pair in pairs]
    found = _in_threads(partial(_pair_problems, reader or MaskReader()), pairs)
    problems = [problem for several in found for problem in several]
    if not problems:
        return
    lines = [f"{len(problems)} problems in {len(pairs)} pairs of image and mask:"]
    for kind in (_MISSING, _UNREADABLE, _SIZE, _VALUES, _GRAY, _DARK, _CLASSES):
        names = [problem.name for problem in problems if problem.kind == kind]
        if names:
            lines.append(f"- {kind} ({len(names)}): {shown(names)}")
    raise InputError("\n".join(lines))


def _in_threads(function: Callable[[_In], _Out], items: Sequence[_In]) -> list[_Out]:
    # Pillow releases the interpreter lock while it decodes
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        return list(pool.map(function, items))


def _pair_problems(reader: MaskReader, pair: dict[str, str]) -> list[_Problem]:
    problems: list[_Problem] = []
    arrays: list[np.ndarray] = []
    decode_label = partial(mask_luminance, ignore=reader.ignore) if reader.binary else reader.decode
    for path, decode in ((pair["image"], decode_picture), (pair["label"], decode_label)):
        try:
            arrays.append(decode(path))
        except UnknownValuesError as error:
            problems.append(_Problem(_VALUES, f"{path} ({error.values})"))
        except InputError:
            problems.append(_Problem(_UNREADABLE if Path(path).exists() else _MISSING, path))
    if problems:
        return problems
    image, mask = arrays
    if image.shape[:2] != mask.shape[:2]:
        problems.append(_Problem(_SIZE, _size_difference(pair, image, mask)))
    if not reader.binary:
        return problems
    if not (mask > 127).any() and mask.any():
        problems.append(_Problem(_DARK, f"{pair['label']} (largest value {mask.max()})"))
    elif further := further_values(mask):
        kind = _GRAY if len(further) > _FEW and is_gray_mask(mask) else _CLASSES
        which = f" (also {', '.join(map(str, further[:8]))})" if kind == _CLASSES else ""
        problems.append(_Problem(kind, f"{pair['label']}{which}"))
    return problems


def is_gray_mask(luminance: np.ndarray) -> bool:
    """Whether more than 5 % of a mask `[H, W]`, as from `mask_luminance`, is gray: neither black nor white."""
    return bool(np.mean(_is_gray(luminance)) > _GRAY_SHARE)


def _is_gray(mask: np.ndarray) -> np.ndarray:
    return (mask > _GRAY_RANGE[0]) & (mask < _GRAY_RANGE[1])


def further_values(mask: np.ndarray) -> list[int]:
    """The values of a binary mask that seem to be classes of their own, and not the noise of JPEG or a soft outline.

    They are neither the darkest nor the brightest ones, and lie on more than 1 % of the foreground farther than 8
    pixels, the width of a JPEG block, from an outline between dark and bright.

    Args:
        mask: `(H, W)`, uint8.

    Returns:
        values, ascending; empty if the mask is binary.
    """
    values = np.flatnonzero(np.bincount(mask.ravel(), minlength=256))
    if len(values) <= 2:
        return []
    lowest, highest = values[0], values[-1]
    # without JPEG's noise each dark value may be a class
    between = (mask > lowest) & (mask < highest - _NOISE) if len(values) <= _FEW else _is_gray(mask)
    if not between.any():
        return []
    side = 2 * _NOISE + 1
    outline = (maximum_filter(mask, side) >= max(highest, _NOISE) - _NOISE) & (
        minimum_filter(mask, side) <= lowest + _NOISE
    )
    apart = between & ~outline
    foreground = (mask > lowest + (0 if len(values) <= _FEW else _GRAY_RANGE[0])).sum()
    return np.unique(mask[apart]).tolist() if apart.sum() > _FURTHER_SHARE * foreground else []


def _size_difference(pair: dict[str, str], image: np.ndarray, mask: np.ndarray) -> str:
    text = f"{pair['label']} is {mask.shape[0]} x {mask.shape[1]}, its image {image.shape[0]} x {image.shape[1]}"
    with Image.open(pair["image"]) as file:
        turned = file.getexif().get(ExifTags.Base.Orientation) in _SWAPPING_ORIENTATIONS
    if turned and mask.shape == image.shape[1::-1]:
        text += " after its EXIF rotation, which the mask lacks: turn the mask as viewers show the image"
    return text
