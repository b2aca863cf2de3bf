import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nibabel.orientations as orientations
import numpy as np
import torch
from ignite.engine import Engine, Events
from monai.data import MetaTensor
from nibabel.affines import voxel_sizes
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage
from skimage.segmentation import find_boundaries
from skimage.util import montage

from medseg.data.batches import batch_items
from medseg.data.sources import source_of
from medseg.files import atomic_write, case_name, case_source

__all__ = ["LABEL_COLORS", "TRUTH_COLOR", "CasePictures", "label_color", "picture_file"]

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

_PADDING = 4
_LARGEST_TILE = 512
_PIXELS_A_LINE = 400


class CasePictures:
    """A PNG of every case of an evaluator: the outlines of its mask on the image.

    A picture shows the image itself, read from its file, and the outline of each label in a color of
    `LABEL_COLORS` (label 1 the first, and from label 8 on they repeat); a true mask, where there is one, lies
    below in white.

    A volume becomes a montage of axial slices in radiological view: the patient's right on the viewer's left,
    anterior up, from head to foot, row by row, in the proportions of the voxels, with the letters R and L. The
    slices are spread evenly over the extent of the predicted mask, or over the volume when it is empty. Axes are taken
    in the order in which they lie nearest to right, front and up, whatever their order in the file; an oblique
    volume is shown along its own axes.

    Items of `engine.state.output` need `image` (a MetaTensor that knows its file), `pred` and optionally
    `label`: label maps `[1, ...]` of 0, 1, 2, ... or one-hot `[C, ...]` with the background first, in the file's
    own pixels `[H, W]` or voxels `[X, Y, Z]`. A picture is `NAME.png`, where NAME is the case's
    name; items that name their test set go to a folder of that name. An empty mask has no
    outline.

    Args:
        output_dir: folder of the pictures; made when missing.
        intensity_range: lowest and highest value to show of a volume, in its file's units (HU: a window of
            lung tissue is (-1350, 150)); None for its 1st and 99th percentile. Pictures are shown as they are.
        slices: number of slices of a volume at most.
        columns: number of slices in a row.
        max_side: of a picture, in pixels; larger ones are made smaller. The width of a montage stays below it too.
        image_key: key of the image in an output item.
        pred_key: key of the predicted mask.
        label_key: key of the true mask.
        set_key: key of the test set's name.

    Raises:
        ValueError: when a number is not positive or a range is empty, or (while running) when a mask has not the
            size of its image.
        InputError: (while running) when the image knows no file.
    """

    def __init__(
        self,
        output_dir: str | Path,
        intensity_range: Sequence[float] | None = None,
        slices: int = 12,
        columns: int = 4,
        max_side: int = 1024,
        image_key: str = "image",
        pred_key: str = "pred",
        label_key: str = "label",
        set_key: str = "set_name",
    ) -> None:
        if min(slices, columns) < 1 or max_side < 16 * columns:
            raise ValueError(
                f"CasePictures needs slices and columns >= 1 and max_side >= 16 a column, got {slices}, {columns} "
                f"and {max_side}."
            )
        if intensity_range is not None and not intensity_range[0] < intensity_range[1]:
            raise ValueError(f"intensity_range must be (lowest, highest), got {tuple(intensity_range)}.")
        self.output_dir = Path(output_dir)
        self.intensity_range = intensity_range
        self.slices = slices
        self.columns = columns
        self.max_side = max_side
        self.image_key = image_key
        self.pred_key = pred_key
        self.label_key = label_key
        self.set_key = set_key

    def attach(self, engine: Engine) -> None:
        """Args:
        engine: evaluator whose postprocessing has brought the masks back to the file's pixels or voxels.
        """
        engine.add_event_handler(Events.ITERATION_COMPLETED, self)

    def __call__(self, engine: Engine) -> None:
        """Write the pictures of the batch just completed; every process writes those of its own cases."""
        for item, source in zip(batch_items(engine.state.output), batch_items(engine.state.batch), strict=True):
            file = case_source(getattr(item[self.image_key], "meta", {}))
            masks = [_label_map(item[key]) for key in (self.label_key, self.pred_key) if item.get(key) is not None]
            draw = self._draw_picture if masks[-1].ndim == 2 else self._draw_volume
            picture = draw(file, source_of(source, self.image_key), *masks)
            name = picture_file(self.output_dir, file, source.get(self.set_key, ""))
            with atomic_write(name) as path:
                Image.fromarray(picture).save(path, format="PNG")

    def _draw_picture(self, file: str, source: MetaTensor, *masks: np.ndarray) -> np.ndarray:
        picture = source.numpy().astype(np.uint8)
        for mask in masks:
            _check_shape(mask, picture.shape[:2], file)
        scale = min(1.0, self.max_side / max(picture.shape[:2]))
        height, width = (max(1, round(side * scale)) for side in picture.shape[:2])
        return _draw(Image.fromarray(picture), masks, (width, height))

    def _draw_volume(self, file: str, volume: MetaTensor, *masks: np.ndarray) -> np.ndarray:
        for mask in masks:
            _check_shape(mask, volume.shape, file)
        image, *masks_seen = (_radiological(array, volume.affine) for array in (volume.numpy(), *masks))
        shown = _spread(masks_seen[-1], self.slices)
        lowest, highest = self.intensity_range or np.nanpercentile(image[:, :, shown], (1, 99))
        columns = min(self.columns, len(shown))
        size = self._tile(image.shape, _sizes(volume), columns)
        tiles = []
        for place in shown:
            gray = (np.nan_to_num(image[:, :, place], nan=lowest) - lowest) / max(highest - lowest, 1e-6)
            tile = Image.fromarray((gray.clip(0, 1) * 255).astype(np.uint8)).convert("RGB")
            drawn = _draw(tile, [mask[:, :, place] for mask in masks_seen], size)
            tiles.append(_with_sides(drawn))
        grid = (-(-len(tiles) // columns), columns)
        sheet = montage(np.stack(tiles), grid_shape=grid, channel_axis=-1, fill=[0, 0, 0], padding_width=_PADDING)
        return sheet.astype(np.uint8)

    def _tile(self, shape: Sequence[int], sizes: Sequence[float], columns: int) -> tuple[int, int]:
        """(width, height) of a slice in pixels, in the proportions of its millimeters."""
        side = min(_LARGEST_TILE, (self.max_side - _PADDING * (columns + 1)) // columns)
        height, width = shape[0] * sizes[0], shape[1] * sizes[1]
        scale = side / max(width, height)
        return max(1, round(width * scale)), max(1, round(height * scale))


def picture_file(folder: str | Path, file: str | Path, set_name: str = "") -> Path:
    """Where the picture of a case lies.

    Args:
        folder: that of the pictures.
        file: the image's file.
        set_name: the test set's name, if there is one; signs that folders cannot have become `_`.
    """
    inner = re.sub(r"[^\w. -]", "_", set_name).strip(". ")
    return Path(folder) / inner / f"{case_name(file)}.png"


def label_color(label: int) -> tuple[int, int, int]:
    """The color of a label from 1 on, red, green and blue, 0 to 255."""
    return LABEL_COLORS[(label - 1) % len(LABEL_COLORS)]


def _label_map(mask: torch.Tensor) -> np.ndarray:
    """`[1, ...]` labels or `[C, ...]` one-hot as uint8 labels `[...]`."""
    array = (mask.as_tensor() if isinstance(mask, MetaTensor) else torch.as_tensor(mask)).detach().cpu().numpy()
    if len(array) == 1:
        return array[0].astype(np.uint8, copy=False)
    labels = np.zeros(array.shape[1:], dtype=np.uint8)
    for label in range(1, len(array)):  # argmax would want eight bytes a voxel
        labels[array[label] > 0.5] = label
    return labels


def _check_shape(mask: np.ndarray, shape: Sequence[int], file: str) -> None:
    if mask.shape != tuple(shape):
        raise ValueError(
            f"A mask of {file} has the shape {mask.shape}, its image {tuple(shape)}: "
            "restore the mask to the original size before this handler."
        )


def _turn(affine: Any) -> np.ndarray:
    """The nibabel orientation that brings a file's axes to (left, back, up)."""
    return orientations.ornt_transform(orientations.io_orientation(affine), orientations.axcodes2ornt(("L", "P", "S")))


def _radiological(array: np.ndarray, affine: Any) -> np.ndarray:
    """A view `[rows, columns, slices]` of a volume: front to back, right to left, foot to head."""
    return orientations.apply_orientation(array, _turn(affine)).swapaxes(0, 1)


def _sizes(volume: MetaTensor) -> list[float]:
    """Millimeters between rows, columns and slices of the radiological view."""
    sizes = voxel_sizes(np.asarray(volume.affine))
    along = [0.0, 0.0, 0.0]
    for axis, (target, _flip) in enumerate(_turn(volume.affine)):
        along[int(target)] = float(sizes[axis])
    return [along[1], along[0], along[2]]


def _spread(mask: np.ndarray, count: int) -> list[int]:
    """Places of slices, head first, spread over the extent of the mask or, if it is empty, over all slices."""
    found = np.flatnonzero(mask.any(axis=(0, 1)))
    first, last = (found[0], found[-1]) if len(found) else (0, mask.shape[2] - 1)
    # a single one shows the middle
    places = np.linspace(first, last, count) if count > 1 else np.array([(first + last) / 2])
    return sorted({int(place) for place in np.rint(places)}, reverse=True)


def _draw(picture: Image.Image, masks: Sequence[np.ndarray], size: tuple[int, int]) -> np.ndarray:
    """`picture` at `size` (width, height) with outlines, `[height, width, 3]`; the last mask is the prediction."""
    drawn = np.array(picture.resize(size, Image.Resampling.BILINEAR))
    for mask in masks:
        small = np.array(Image.fromarray(mask).resize(size, Image.Resampling.NEAREST))
        for label in np.unique(small[small > 0]):
            edge = find_boundaries(small == label, mode="inner")
            if wider := max(size) // _PIXELS_A_LINE:  # a large picture will be looked at made smaller
                edge = ndimage.binary_dilation(edge, iterations=wider)
            drawn[edge] = label_color(int(label)) if mask is masks[-1] else TRUTH_COLOR
    return drawn


def _with_sides(tile: np.ndarray) -> np.ndarray:
    """A slice with the letters of the patient's sides half way up; too small a slice has no place for them."""
    height, width = tile.shape[:2]
    if min(height, width) < 48:
        return tile
    picture = Image.fromarray(tile)
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(max(10, min(height, width) // 16))
    for letter, place, anchor in (("R", 3, "lm"), ("L", width - 4, "rm")):
        pen.text((place, height // 2), letter, (255, 255, 255), font, anchor, stroke_width=1, stroke_fill=(0, 0, 0))
    return np.array(picture)
