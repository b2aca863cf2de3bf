"""Reading of 2-D pictures in image orientation, whatever their file mode."""

import logging
from collections.abc import Sequence
from functools import cache

import numpy as np
from monai.config import PathLike
from monai.data import ImageReader
from monai.utils import MetaKeys, ensure_tuple
from PIL import Image, ImageOps, UnidentifiedImageError

from medseg.data.input_types import PICTURE_FORMATS, PICTURE_SUFFIXES, has_suffix
from medseg.data.limits import check_picture_size
from medseg.errors import InputError

logger = logging.getLogger("medseg")

WIDE_GRAY_MODES = ("I", "I;16", "I;16B", "I;16L", "I;16N")
_SAMPLE_FORMAT, _SIGNED, _PHOTOMETRIC = 339, 2, 262  # of TIFF
_WHITE_IS_ZERO = "white is zero"


def decode_picture(path: PathLike) -> np.ndarray:
    """Decode a picture to RGB, in the orientation in which a viewer shows it.

    An EXIF orientation is applied. Gray, 1-bit, palette and CMYK pictures become RGB. 16-bit gray values are scaled to
    0..255 by the bits that they need, 8, 10, 12, 14 or 16; if fewer than 16, the log says so once. Transparent pixels
    are composed on black: dropping the alpha channel would uncover whatever color the file hides below it. Of a file
    with several pages the first is read.

    Args:
        path: a file of one of `PICTURE_FORMATS`. The content decides, not the suffix.

    Returns:
        uint8 array `(H, W, 3)` in 0..255.

    Raises:
        InputError: The file is missing, damaged or truncated, is of another format, or holds floating point, signed
            8-bit or more than 16-bit values, or 16-bit colors of at most 14 bits, which Pillow would make black.
    """
    image = open_upright(path)
    if image.mode in WIDE_GRAY_MODES:
        return np.repeat(wide_gray(image, path)[..., None], 3, axis=-1)
    return np.asarray(to_rgb(image, path))


class PictureReader(ImageReader):
    """Reader of 2-D pictures for MONAI's `LoadImaged(keys, reader=...)`: RGB, channel last, `(H, W, 3)`.

    MONAI's `PILReader` returns `(W, H)` by default and ignores orientation, palettes and alpha; see `decode_picture`
    for what this one does. Follow it by `EnsureChannelFirstd(channel_dim=-1)`.

    `read` hands the path on and `get_data` decodes: `LoadImage` answers an error in `read` by trying its default
    readers, and MONAI's `PILReader` would return the picture transposed. An error in `get_data` reaches the user.
    """

    def verify_suffix(self, filename: Sequence[PathLike] | PathLike) -> bool:
        """Whether every file has one of `PICTURE_SUFFIXES`, in upper or lower case."""
        return all(has_suffix(name, PICTURE_SUFFIXES) for name in ensure_tuple(filename))

    def read(self, data: Sequence[PathLike] | PathLike, **kwargs: object) -> Sequence[PathLike] | PathLike:
        """Return `data`, the path of the file to decode."""
        return data

    def get_data(self, img: Sequence[PathLike] | PathLike) -> tuple[np.ndarray, dict[str, object]]:
        """Decode the file that `read` returned.

        Returns:
            The array, channel last, and its metadata: `spatial_shape` (H, W), `original_channel_dim` -1.

        Raises:
            InputError: The file cannot be decoded, or several files are given for one picture.
        """
        paths = ensure_tuple(img)
        if len(paths) != 1:
            raise InputError(f"{len(paths)} files are listed for one picture ({paths}): list exactly one.")
        array = self.decode(paths[0])
        return array, {MetaKeys.SPATIAL_SHAPE: np.asarray(array.shape[:2]), MetaKeys.ORIGINAL_CHANNEL_DIM: -1}

    def decode(self, path: PathLike) -> np.ndarray:
        """The array of a file, channel last."""
        return decode_picture(path)


def _unreadable(path: PathLike, reason: object) -> InputError:
    return InputError(f"{path} cannot be read ({reason}): replace it, or save it again as an 8-bit PNG.")


def open_upright(path: PathLike) -> Image.Image:
    """Load all pixels and turn them upright."""
    try:
        # not by name: Pillow memory-maps a named uncompressed TIFF with rows and columns swapped
        with open(path, "rb") as file, Image.open(file, formats=list(PICTURE_FORMATS)) as image:
            check_picture_size(path, image.size)
            tags = getattr(image, "tag_v2", {})
            if image.mode not in WIDE_GRAY_MODES and _SIGNED in np.atleast_1d(tags.get(_SAMPLE_FORMAT, 1)):
                raise _unreadable(path, "it holds signed values")
            cut = image.mode not in WIDE_GRAY_MODES and any(";16" in str(tile.args) for tile in image.tile)
            if tags.get(_PHOTOMETRIC) == 0 and image.mode in WIDE_GRAY_MODES:
                image.info[_WHITE_IS_ZERO] = True  # Pillow inverts 8 bits only
            upright = ImageOps.exif_transpose(image)
    except FileNotFoundError:
        raise InputError(f"{path} does not exist: check its path.") from None
    except UnidentifiedImageError:
        raise _unreadable(path, f"it is not a {', '.join(PICTURE_FORMATS)} picture") from None
    except (InputError, MemoryError):
        raise
    except Exception as error:  # Pillow raises many kinds on damaged files
        raise _unreadable(path, error) from error
    # Pillow keeps the upper bytes of 16-bit colors
    if cut and np.asarray(upright.convert("RGB")).max() < 2**6:
        raise _unreadable(path, "its 16-bit colors need no more than 14 bits")
    return upright


def wide_gray(image: Image.Image, path: PathLike) -> np.ndarray:
    """A picture of one of `WIDE_GRAY_MODES` as uint8 gray `(H, W)`, scaled by the bits that its values need.

    Raises:
        InputError: A value is negative or needs more than 16 bits.
    """
    values = np.asarray(image)
    if values.min() < 0 or values.max() > 65535:
        raise _unreadable(path, f"its values {values.min()}..{values.max()} do not fit into 16 bits")
    bits = next(bits for bits in (8, 10, 12, 14, 16) if values.max() < 2**bits)
    if bits < 16 and values.any():
        _log_bits(str(path), bits)
    gray = np.rint(values / ((2**bits - 1) / 255)).astype(np.uint8)
    return 255 - gray if image.info.get(_WHITE_IS_ZERO) else gray


@cache
def _log_bits(path: str, bits: int) -> None:
    logger.info("%s has 16-bit values that need only %d bits: %d is taken for white", path, bits, 2**bits - 1)


def to_rgb(image: Image.Image, path: PathLike) -> Image.Image:
    """A picture in RGB, composed on black.

    Raises:
        InputError: It holds floating point values, or colors that cannot be converted.
    """
    if image.mode == "F":
        raise _unreadable(path, "it holds floating point values")
    try:
        if "A" in image.getbands() or "transparency" in image.info:
            image = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", image.size, (0, 0, 0, 255)), image)
        return image.convert("RGB")
    except ValueError as error:
        raise _unreadable(path, error) from error
