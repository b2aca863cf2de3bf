"""Checks of whole datasets before the first step. Nothing here writes a file."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from PIL import ExifTags, Image

from medseg.data.listing import shown
from medseg.data.pictures import decode_picture, mask_luminance
from medseg.errors import InputError

_MISSING = "missing file, put it there or leave the pair out of the list"
_UNREADABLE = "unreadable file, replace it or save it again as an 8-bit PNG"
_SIZE = "image and mask differ in size (height x width), export the mask again in its image's size"
_GRAY = "mask that is not black and white (over 5 % of it is gray), is it in the wrong folder?"
_DARK = "mask that is not empty but nowhere brighter than 127, save its foreground as 255"

_GRAY_RANGE = (32, 223)
_GRAY_SHARE = 0.05
_SWAPPING_ORIENTATIONS = (5, 6, 7, 8)

_In = TypeVar("_In")
_Out = TypeVar("_Out")


class _Problem(NamedTuple):
    kind: str
    name: str


def check_pairs(*lists: Sequence[dict[str, str]]) -> None:
    """Decode every image and mask of one or several lists and report all problems in one error.

    A problem is a missing or unreadable file, a mask of another size than its image, or a mask that is none:
    more than 5 % of its pixels are gray (between 32 and 223), or it has values but none above 127.

    Args:
        lists: each of ``{"image": path, "label": path}`` per pair, as from :func:`medseg.data.find_pairs`.

    Raises:
        InputError: a list is empty, or some pairs have problems; the message groups them by kind and names up to
            ten files of each.
    """
    if not all(lists):
        raise InputError(
            "A list of image and mask pairs, to train or validate on, is empty: put pictures into images/ and masks/."
        )
    pairs = [pair for pairs in lists for pair in pairs]
    problems = [problem for found in _in_threads(_pair_problems, pairs) for problem in found]
    if not problems:
        return
    lines = [f"{len(problems)} problems in {len(pairs)} pairs of image and mask:"]
    for kind in (_MISSING, _UNREADABLE, _SIZE, _GRAY, _DARK):
        names = [problem.name for problem in problems if problem.kind == kind]
        if names:
            lines.append(f"- {kind} ({len(names)}): {shown(names)}")
    raise InputError("\n".join(lines))


def _in_threads(function: Callable[[_In], _Out], items: Sequence[_In]) -> list[_Out]:
    # Pillow releases the interpreter lock while it decodes
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        return list(pool.map(function, items))


def _pair_problems(pair: dict[str, str]) -> list[_Problem]:
    problems: list[_Problem] = []
    arrays: list[np.ndarray] = []
    for path, decode in ((pair["image"], decode_picture), (pair["label"], mask_luminance)):
        try:
            arrays.append(decode(path))
        except InputError:
            problems.append(_Problem(_UNREADABLE if Path(path).exists() else _MISSING, path))
    if problems:
        return problems
    image, mask = arrays
    if image.shape[:2] != mask.shape:
        problems.append(_Problem(_SIZE, _size_difference(pair, image, mask)))
    if not (mask > 127).any() and mask.any():
        problems.append(_Problem(_DARK, f"{pair['label']} (largest value {mask.max()})"))
    elif np.mean((mask > _GRAY_RANGE[0]) & (mask < _GRAY_RANGE[1])) > _GRAY_SHARE:
        problems.append(_Problem(_GRAY, pair["label"]))
    return problems


def _size_difference(pair: dict[str, str], image: np.ndarray, mask: np.ndarray) -> str:
    text = f"{pair['label']} is {mask.shape[0]} x {mask.shape[1]}, its image {image.shape[0]} x {image.shape[1]}"
    with Image.open(pair["image"]) as file:
        turned = file.getexif().get(ExifTags.Base.Orientation) in _SWAPPING_ORIENTATIONS
    if turned and mask.shape == image.shape[1::-1]:
        text += " after its EXIF rotation, which the mask lacks: turn the mask as viewers show the image"
    return text
