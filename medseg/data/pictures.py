"""Reading of 2-D pictures and masks in image orientation, whatever their file mode."""

import struct
from collections.abc import Sequence

import numpy as np
from monai.config import PathLike
from monai.data import ImageReader
from monai.utils import MetaKeys, ensure_tuple
from PIL import Image, ImageOps, UnidentifiedImageError

from medseg.data.input_types import PICTURE_FORMATS, PICTURE_SUFFIXES, has_suffix
from medseg.errors import InputError

_WIDE_GRAY_MODES = ("I", "I;16", "I;16B", "I;16L", "I;16N")
# what Pillow raises on damaged files; it has no common base class for them
_DECODING_ERRORS = (OSError, SyntaxError, ValueError, EOFError, struct.error, Image.DecompressionBombError)


def decode_picture(path: PathLike) -> np.ndarray:
    """Decode a picture to RGB, in the orientation in which a viewer shows it.

    An EXIF orientation is applied. Gray, 1-bit, palette and CMYK pictures become RGB. 16-bit gray values are divided by
    257, so that 0..65535 becomes 0..255. Transparent pixels are composed on black: dropping the alpha channel would
    uncover whatever color the file hides below it. Of a file with several pages the first is read.

    Args:
        path: a file of one of `PICTURE_FORMATS`. The content decides, not the suffix.

    Returns:
        uint8 array `(H, W, 3)` in 0..255.

    Raises:
        InputError: The file is missing, damaged or truncated, is of another format, or holds floating point or more
            than 16-bit values.
    """
    image = _open(path)
    if image.mode in _WIDE_GRAY_MODES:
        gray = np.rint(_wide_values(image, path) / 257).astype(np.uint8)
        return np.repeat(gray[..., None], 3, axis=-1)
    return np.asarray(_to_rgb(image, path))


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


def mask_luminance(path: PathLike) -> np.ndarray:
    """Decode a mask to gray, with label values spread to the full range.

    A file whose largest value (or palette index) is 1 holds labels, so 1 becomes 255. A palette that is lighter at 0
    than at 1 belongs to a picture, not to a label table, and is read by its colors. 16-bit values are divided by 257,
    unless none is above 255: then the file is an 8-bit mask in a wider container.

    Args:
        path: as for `decode_picture`.

    Returns:
        uint8 array `(H, W)` in 0..255.

    Raises:
        InputError: As `decode_picture`.
    """
    image = _open(path)
    if image.mode in _WIDE_GRAY_MODES:
        values = _wide_values(image, path)
        gray = np.rint(values / 257 if values.max() > 255 else values).astype(np.uint8)
    elif image.mode == "P" and _is_label_palette(image):
        gray = np.asarray(image)
    else:
        gray = np.asarray(_to_rgb(image, path).convert("L"))
    return gray * np.uint8(255) if gray.max() == 1 else gray


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
        array = self._decode(paths[0])
        return array, {MetaKeys.SPATIAL_SHAPE: np.asarray(array.shape[:2]), MetaKeys.ORIGINAL_CHANNEL_DIM: -1}

    def _decode(self, path: PathLike) -> np.ndarray:
        return decode_picture(path)


class MaskReader(PictureReader):
    """Reader of binary masks for MONAI's `LoadImaged(keys, reader=...)`: 0 and 1, `(H, W, 1)`; see `decode_mask`."""

    def _decode(self, path: PathLike) -> np.ndarray:
        return decode_mask(path)


def _unreadable(path: PathLike, reason: object) -> InputError:
    return InputError(f"{path} cannot be read ({reason}): replace it, or save it again as an 8-bit PNG.")


def _open(path: PathLike) -> Image.Image:
    """Load all pixels and turn them upright."""
    try:
        # not by name: Pillow memory-maps a named uncompressed TIFF with rows and columns swapped
        with open(path, "rb") as file, Image.open(file, formats=list(PICTURE_FORMATS)) as image:
            return ImageOps.exif_transpose(image)
    except FileNotFoundError:
        raise InputError(f"{path} does not exist: check its path.") from None
    except UnidentifiedImageError:
        raise _unreadable(path, f"it is not a {', '.join(PICTURE_FORMATS)} picture") from None
    except _DECODING_ERRORS as error:
        raise _unreadable(path, error) from error


def _wide_values(image: Image.Image, path: PathLike) -> np.ndarray:
    values = np.asarray(image)
    if values.min() < 0 or values.max() > 65535:
        raise _unreadable(path, f"its values {values.min()}..{values.max()} do not fit into 16 bits")
    return values


def _to_rgb(image: Image.Image, path: PathLike) -> Image.Image:
    if image.mode == "F":
        raise _unreadable(path, "it holds floating point values")
    try:
        if "A" in image.getbands() or "transparency" in image.info:
            image = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", image.size, (0, 0, 0, 255)), image)
        return image.convert("RGB")
    except ValueError as error:
        raise _unreadable(path, error) from error


def _is_label_palette(image: Image.Image) -> bool:
    """Whether the palette indices are 0 and 1, with 1 not darker than 0."""
    if int(np.asarray(image).max()) != 1:
        return False
    palette = image.getpalette("RGB") or []
    return sum(palette[3:6]) >= sum(palette[:3])
