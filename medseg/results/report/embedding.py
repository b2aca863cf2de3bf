"""Pictures inside the page: as data, made small enough that the page stays openable."""

import base64
import io
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from PIL import Image

#: Bytes of all pictures of a page together, before base64 adds a third
LARGEST_PICTURES = 24_000_000

# up to how many pictures, and their longest side in pixels: about 10 to 20 MB whatever the number
_SIDES = ((60, 1024), (200, 640), (500, 400))
_SMALLEST_SIDE = 256


class Embedded(NamedTuple):
    """A picture as the `data:` address of a JPEG, and its size in pixels."""

    address: str
    width: int
    height: int


def embedded(pictures: Sequence[Path]) -> dict[Path, Embedded]:
    """The pictures as JPEGs in the page, in their order until `LARGEST_PICTURES` is reached.

    Args:
        pictures: PNG files, the most important first.

    Returns:
        file -> picture; those beyond the limit and unreadable ones are missing.
    """
    unique = list(dict.fromkeys(pictures))
    side = next((side for count, side in _SIDES if len(unique) <= count), _SMALLEST_SIDE)
    found: dict[Path, Embedded] = {}
    used = 0
    for path in unique:
        picture = _small(path, side)
        if picture is None:
            continue
        one = embed(picture)
        used += len(one.address) * 3 // 4  # base64 takes four characters for three bytes
        if used > LARGEST_PICTURES:
            break
        found[path] = one
    return found


def embed(picture: Image.Image) -> Embedded:
    """A picture, RGB, as a JPEG in the page."""
    stream = io.BytesIO()
    # full color resolution, or thin outlines would fade
    picture.save(stream, format="JPEG", quality=85, subsampling=0, optimize=True)
    data = base64.b64encode(stream.getvalue()).decode("ascii")
    return Embedded(f"data:image/jpeg;base64,{data}", *picture.size)


def _small(path: Path, side: int) -> Image.Image | None:
    """A picture with its longest side at most `side`, None if it cannot be read."""
    try:
        with Image.open(path) as file:
            picture = file.convert("RGB")
    except OSError:
        return None
    picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    return picture
