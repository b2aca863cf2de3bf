"""Limits of declared sizes, checked before anything is decoded, so that a small file cannot fill the memory."""

from collections.abc import Sequence

import numpy as np

from medseg.errors import InputError

#: Pixels of a picture: 8K frames (33 million) and thumbnails of whole slides pass.
MAX_PIXELS = 100_000_000
_MAX_SIDE = 32_768
#: Voxels of a volume: 512 x 512 x 4096 pass.
MAX_VOXELS = 2**30
_SPACING = (1e-3, 100.0)  # mm
_MAX_FIELD = 4e9  # mm3; resampled to 1.5 x 1.5 x 3 mm this is 0.6 billion voxels


def check_picture_size(path: object, size: Sequence[int], max_pixels: int = MAX_PIXELS) -> None:
    """Refuse a picture that declares too many pixels.

    Args:
        path: the file, for the message.
        size: width and height as its header declares them.
        max_pixels: the largest product of both.

    Raises:
        InputError: The picture is larger, or a side is longer than 32,768.
    """
    width, height = size
    if width * height > max_pixels or max(size) > _MAX_SIDE:
        raise InputError(
            f"{path} declares {width} x {height} pixels, more than max_pixels ({max_pixels:,}) or {_MAX_SIDE:,} a "
            "side: replace it, or scale it down."
        )


def check_grid(name: object, shape: Sequence[int], affine: np.ndarray) -> None:
    """Refuse a volume whose header declares a grid that cannot be one of a patient.

    Args:
        name: the file or series, for the message.
        shape: voxels along each axis.
        affine: `[4, 4]` from voxels to mm.

    Raises:
        InputError: There are too many voxels, the axes are no axes, voxels are smaller than 0.001 mm or larger than
            100 mm, or the volume is larger than 4 cubic meters.
    """
    if (voxels := int(np.prod(shape, dtype=object))) > MAX_VOXELS or voxels < 1:
        sizes = " x ".join(map(str, shape))
        raise InputError(f"{name} declares {sizes} voxels, not 1 to max_pixels ({MAX_VOXELS:,}): give a part of it.")
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    if not (np.isfinite(affine).all() and (spacing >= _SPACING[0]).all() and (spacing <= _SPACING[1]).all()):
        sizes = " x ".join(f"{size:g}" for size in spacing)
        raise InputError(f"{name} declares voxels of {sizes} mm, which no scanner makes: export it again.")
    if abs(np.linalg.det(affine[:3, :3] / spacing)) < 1e-3:
        raise InputError(f"{name} declares axes that lie in one plane: export it again.")
    if (field := float(np.prod(spacing * shape))) > _MAX_FIELD:
        raise InputError(f"{name} declares a volume of {field / 1e9:.3g} cubic meters: correct its spacing.")
