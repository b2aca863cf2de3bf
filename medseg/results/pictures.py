"""Pictures of cases: outlines of masks on an image, montages of volumes, contact sheets. Colors are defined here."""

import re
from collections.abc import Sequence
from pathlib import Path

import nibabel.orientations as orientations
import numpy as np
from nibabel.affines import voxel_sizes
from PIL import Image, ImageDraw, ImageFont, ImageOps
from scipy import ndimage
from skimage.segmentation import find_boundaries
from skimage.util import montage

from medseg.files import case_name

#: Outlines of labels 1, 2, ...: Okabe and Ito's colors, which color-blind readers tell apart, brightest first
LABEL_COLORS = (
    (240, 228, 66),  # yellow
    (86, 180, 233),  # sky blue
    (213, 94, 0),  # vermilion
    (0, 158, 115),  # bluish green
    (204, 121, 167),  # reddish purple
    (230, 159, 0),  # orange
    (0, 114, 178),  # blue
)
TRUTH_COLOR = (255, 255, 255)
#: The contact sheet in the folder of the pictures
SHEET_FILE = "overlays.png"

_PADDING = 4
_LARGEST_TILE = 512
_PIXELS_A_LINE = 400


def label_color(label: int) -> tuple[int, int, int]:
    """The color of a label from 1 on, red, green and blue, 0 to 255; from label 8 on they repeat."""
    return LABEL_COLORS[(label - 1) % len(LABEL_COLORS)]


def picture_file(folder: str | Path, file: str | Path, set_name: str = "") -> Path:
    """Where the picture of a case lies.

    Args:
        folder: that of the pictures.
        file: the image's file.
        set_name: the test set's name, if there is one; signs that folders cannot have become `_`.
    """
    inner = re.sub(r"[^\w. -]", "_", set_name).strip(". ")
    return Path(folder) / inner / f"{case_name(file)}.png"


def draw_picture(picture: np.ndarray, masks: Sequence[np.ndarray], max_side: int) -> np.ndarray:
    """Outlines of label maps on a picture.

    Args:
        picture: `[H, W, 3]`, uint8.
        masks: labels `[H, W]`, uint8: the true ones, if there are any, and the predicted ones last.
        max_side: of the result, in pixels; a smaller picture is not enlarged.

    Returns:
        `[h, w, 3]`, uint8.
    """
    scale = min(1.0, max_side / max(picture.shape[:2]))
    height, width = (max(1, round(side * scale)) for side in picture.shape[:2])
    return _draw(picture, masks, (width, height))


def draw_volume(
    volume: np.ndarray,
    affine: np.ndarray,
    masks: Sequence[np.ndarray],
    intensity_range: Sequence[float] | None,
    slices: int,
    columns: int,
    max_side: int,
) -> np.ndarray:
    """Outlines of label maps on axial slices of a volume, in radiological view.

    The patient's right is on the viewer's left, anterior is up, slices go from head to foot, row by row, in the
    proportions of the voxels. Axes are taken in the order in which they lie nearest to right, front and up.

    Args:
        volume: `[X, Y, Z]`.
        affine: array index to mm in RAS, `[4, 4]`.
        masks: labels `[X, Y, Z]`, uint8: the true ones, if there are any, and the predicted ones last.
        intensity_range: lowest and highest value to show; None for the 1st and 99th percentile of the shown slices.
        slices: how many at most, spread evenly over the extent of the prediction, or over the volume if it is empty.
        columns: number of slices in a row.
        max_side: width of the result at most, in pixels.

    Returns:
        `[h, w, 3]`, uint8.
    """
    # (left, back, up), seen from the feet
    turn = orientations.ornt_transform(orientations.io_orientation(affine), orientations.axcodes2ornt("LPS"))
    image, *seen = (orientations.apply_orientation(array, turn).swapaxes(0, 1) for array in (volume, *masks))
    sizes = voxel_sizes(affine)[np.argsort(turn[:, 0])]
    shown = _spread(seen[-1], slices)
    columns = min(columns, len(shown))
    side = min(_LARGEST_TILE, (max_side - _PADDING * (columns + 1)) // columns)
    width, height = image.shape[1] * sizes[0], image.shape[0] * sizes[1]
    scale = side / max(width, height)
    tile = max(1, round(width * scale)), max(1, round(height * scale))
    lowest, highest = intensity_range or np.nanpercentile(image[:, :, shown], (1, 99))
    tiles = []
    for index in shown:
        gray = (np.nan_to_num(image[:, :, index], nan=lowest) - lowest) / max(highest - lowest, 1e-6)
        rgb = np.repeat((gray.clip(0, 1) * 255).astype(np.uint8)[..., None], 3, axis=-1)
        tiles.append(_with_sides(_draw(rgb, [mask[:, :, index] for mask in seen], tile)))
    return _join(tiles, columns)


def contact_sheet(files: Sequence[Path], tile: int = 256) -> np.ndarray:
    """Pictures side by side, row by row, each scaled to fit a square and padded with black.

    Args:
        files: at least one.
        tile: side of a square in pixels.

    Returns:
        `[h, w, 3]`, uint8.
    """
    tiles = []
    for file in files:
        with Image.open(file) as picture:
            tiles.append(np.array(ImageOps.pad(picture.convert("RGB"), (tile, tile), Image.Resampling.BILINEAR)))
    return _join(tiles, int(np.ceil(np.sqrt(len(tiles)))))


def _join(tiles: Sequence[np.ndarray], columns: int) -> np.ndarray:
    grid = (-(-len(tiles) // columns), columns)
    return montage(np.stack(tiles), grid_shape=grid, channel_axis=-1, fill=[0, 0, 0], padding_width=_PADDING).astype(
        np.uint8
    )


def _spread(mask: np.ndarray, count: int) -> list[int]:
    """Indices of slices, head first, spread over the extent of the mask or, if it is empty, over all slices."""
    found = np.flatnonzero(mask.any(axis=(0, 1)))
    first, last = (found[0], found[-1]) if len(found) else (0, mask.shape[2] - 1)
    # a single one shows the middle
    indices = np.linspace(first, last, count) if count > 1 else np.array([(first + last) / 2])
    return sorted({int(index) for index in np.rint(indices)}, reverse=True)


def _draw(picture: np.ndarray, masks: Sequence[np.ndarray], size: tuple[int, int]) -> np.ndarray:
    """`picture` at `size` (width, height) with outlines, `[height, width, 3]`; the last mask is the prediction."""
    drawn = np.array(Image.fromarray(picture).resize(size, Image.Resampling.BILINEAR))
    for mask in masks:
        small = np.array(Image.fromarray(mask).resize(size, Image.Resampling.NEAREST))
        for label in np.unique(small[small > 0]):
            edge = find_boundaries(small == label, mode="inner")
            if wider := max(size) // _PIXELS_A_LINE:  # a large picture will be looked at made smaller
                edge = ndimage.binary_dilation(edge, iterations=wider)
            drawn[edge] = label_color(int(label)) if mask is masks[-1] else TRUTH_COLOR
    return drawn


def _with_sides(tile: np.ndarray) -> np.ndarray:
    """A slice with the letters of the patient's sides half way up, unless it is too small for them."""
    height, width = tile.shape[:2]
    if min(height, width) < 48:
        return tile
    picture = Image.fromarray(tile)
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(max(10, min(height, width) // 16))
    for letter, place, anchor in (("R", 3, "lm"), ("L", width - 4, "rm")):
        pen.text((place, height // 2), letter, (255, 255, 255), font, anchor, stroke_width=1, stroke_fill=(0, 0, 0))
    return np.array(picture)
