"""Reading of 2-D masks: binary ones, and those of several classes."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from monai.config import PathLike
from PIL import Image

from medseg.data.pictures import WIDE_GRAY_MODES, PictureReader, open_upright, to_rgb, wide_gray
from medseg.errors import InputError
from medseg.losses.mask_loss import IGNORED

_VALUES_REMEDY = (
    "list the value or color of each class in label_values, give that of pixels that do not count as ignore, and save "
    "masks as PNG, not as JPEG"
)
_COLOR = 2**24


def decode_mask(path: PathLike) -> np.ndarray:
    """Decode a binary mask: foreground is where `mask_luminance` is above 127.

    Args:
        path: as for `decode_picture`.

    Returns:
        uint8 array `(H, W, 1)` of 0 and 1; all 0 for an empty mask.

    Raises:
        InputError: As `decode_picture`.
    """
    return (mask_luminance(path) > 127).astype(np.uint8)[..., None]


def mask_luminance(path: PathLike, ignore: int | None = None) -> np.ndarray:
    """Decode a mask to gray, with label values spread to the full range.

    A file whose largest value (or palette index) is 1 holds labels, so 1 becomes 255. A palette that is lighter at 0
    than at 1 belongs to a picture, not to a label table, and is read by its colors. 16-bit values are scaled as in a
    picture.

    Args:
        path: as for `decode_picture`.
        ignore: value in the file that becomes 0, see `mask_values`; None if there is none.

    Returns:
        uint8 array `(H, W)` in 0..255.

    Raises:
        InputError: As `decode_picture`.
    """
    image = open_upright(path)
    if image.mode in WIDE_GRAY_MODES:
        gray = wide_gray(image, path)
    elif image.mode == "P" and _is_label_palette(image):
        gray = np.asarray(image)
    else:
        gray = np.asarray(to_rgb(image, path).convert("L"))
    if ignore is not None:
        gray = np.where(mask_values(path) == ignore, np.uint8(0), gray)
    return gray * np.uint8(255) if gray.max() == 1 else gray


def mask_values(path: PathLike, colors: bool = False) -> np.ndarray:
    """The values of a mask as its file has them.

    Args:
        path: as for `decode_picture`.
        colors: whether colors count, which become whole numbers of 2**24 on, and not gray values or palette indices.

    Returns:
        int64 array `(H, W)`.

    Raises:
        InputError: As `decode_picture`, or the mask is in color and colors do not count.
    """
    image = open_upright(path)
    if not colors and image.mode in (*WIDE_GRAY_MODES, "L", "P", "1"):
        return np.asarray(image).astype(np.int64)
    rgb = np.asarray(to_rgb(image, path)).astype(np.int64)
    if colors:
        return _COLOR + (rgb << (16, 8, 0)).sum(-1)
    if (rgb != rgb[..., :1]).any():
        raise InputError(
            f"{path} is in color: list the colors of the classes in label_values, as [[0, 0, 0], [255, 0, 0]], or save "
            "class numbers."
        )
    return rgb[..., 0]


class MaskReader(PictureReader):
    """Reader of masks for MONAI's `LoadImaged(keys, reader=...)`: class numbers from 0, uint8 `(H, W, 1)`.

    Without arguments, masks are binary and read by `decode_mask`. For several classes the values of the file are kept:
    gray values, or the indices of a palette.

    Args:
        num_classes: with the background, 2 to 254.
        label_values: value of class 0, 1, ... in the files, 0 to 255, or its color `[red, green, blue]`; None for
            0, 1, ..., and for two classes for what `decode_mask` does.
        ignore: value of pixels that do not count, which become `IGNORED`; None if there are none.

    Raises:
        InputError: `label_values` are not one different value for each class, or `ignore` is among them.
    """

    def __init__(
        self, num_classes: int = 2, label_values: Sequence[int | Sequence[int]] | None = None, ignore: int | None = None
    ) -> None:
        super().__init__()
        given = range(num_classes) if label_values is None else label_values
        values = list(given) if isinstance(given, Sequence) and not isinstance(given, str) else [given]
        self.colors = all(isinstance(value, Sequence) for value in values)
        bytes_of = [list(value) if isinstance(value, Sequence) else [value] for value in values]
        if (
            not 2 <= num_classes < IGNORED
            or not len({str(value) for value in values}) == len(values) == num_classes
            or any(len(parts) != (3 if self.colors else 1) or set(parts) - set(range(256)) for parts in bytes_of)
        ):
            raise InputError(
                f"label_values {given} must be {num_classes} different values 0 to 255, or colors [red, green, blue], "
                "one for each of classes."
            )
        self.ignore = ignore
        self.binary = num_classes == 2 and label_values is None
        self.label_values: list[Any] = values
        self._codes = [_code(value) for value in values]
        if not self.binary and ignore in self._codes:
            raise InputError(f"ignore {ignore} is also the value of a class in {values}: choose another.")

    def decode(self, path: PathLike) -> np.ndarray:
        """The class numbers of a file, `(H, W, 1)`.

        Raises:
            UnknownValuesError: The file has values of no class.
            InputError: As `decode_picture`, or it is in color and `label_values` are numbers.
        """
        if self.binary and self.ignore is None:
            return decode_mask(path)
        values = mask_values(path, self.colors)
        if self.binary:
            classes = (mask_luminance(path, self.ignore) > 127).astype(np.uint8)
            classes[values == self.ignore] = IGNORED
            return classes[..., None]
        classes = np.full(values.shape, IGNORED, np.uint8)
        for number, code in enumerate(self._codes):
            classes[values == code] = number
        if (unknown := np.unique(values[(classes == IGNORED) & (values != self.ignore)])).size:
            raise UnknownValuesError(path, [_value(code) for code in unknown.tolist()], self.label_values)
        return classes[..., None]


class UnknownValuesError(InputError):
    """A mask has values that belong to no class.

    Args:
        path: the mask.
        values: those values, or colors.
        known: the values of the classes.
    """

    def __init__(self, path: PathLike, values: list[object], known: Sequence[object]) -> None:
        self.values = f"{', '.join(map(str, values[:8]))}{', ...' if len(values) > 8 else ''}"
        super().__init__(
            f"{path} holds {self.values}, not only the values of the classes, {', '.join(map(str, known))}: "
            f"{_VALUES_REMEDY}."
        )


def _code(value: int | Sequence[int]) -> int:
    """A value itself, a color as the number that `mask_values` makes of it."""
    return _COLOR + (value[0] << 16) + (value[1] << 8) + value[2] if isinstance(value, Sequence) else int(value)


def _value(code: int) -> int | list[int]:
    return [code >> 16 & 255, code >> 8 & 255, code & 255] if code >= _COLOR else code


def _is_label_palette(image: Image.Image) -> bool:
    """Whether the palette indices are 0 and 1, with 1 not darker than 0."""
    if int(np.asarray(image).max()) != 1:
        return False
    palette = image.getpalette("RGB") or []
    return sum(palette[3:6]) >= sum(palette[:3])
