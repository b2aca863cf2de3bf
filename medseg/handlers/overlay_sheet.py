import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import ignite.distributed as idist
import numpy as np
import torch
from ignite.engine import Engine, Events
from monai.utils import ImageMetaKey
from PIL import Image
from skimage.segmentation import find_boundaries
from skimage.util import montage

from medseg.data.batches import batch_items
from medseg.data.pictures import decode_mask, decode_picture
from medseg.files import atomic_write

PREDICTION_COLOR = (255, 220, 0)  # yellow
LABEL_COLOR = (0, 200, 255)  # cyan; distinct from the prediction for color-blind readers too


class OverlaySheet:
    """A contact sheet of an evaluator's first images with the outlines of their masks, as one PNG.

    Each picture is read from its own file (turned as its EXIF note says), scaled to fit a square tile without
    changing its proportions, and padded with black. The outline of the prediction is yellow, that of the
    label, where there is one, cyan and below it. Pictures are in the order of the run, row by row; rank 0
    draws its own.

    Items of `engine.state.output` need `image` (a MetaTensor that knows its file), `pred` and optionally
    `label`, binary masks `[1, H, W]` of the picture's own height and width. An empty mask has no outline.

    Args:
        output_path: the PNG file to write; its folder is made when missing.
        max_images: number of pictures, from the first one.
        tile: side of a tile in pixels.
        image_key: key of the image in an output item.
        pred_key: key of the predicted mask.
        label_key: key of the true mask.
        done: ``{"image": path, "pred": path of its mask}`` per picture that an earlier run has done; they come first.

    Raises:
        ValueError: when `max_images` or `tile` is not positive, or (while running) when a mask has not the size of
            its picture or the image knows no file.
    """

    def __init__(
        self,
        output_path: str | Path,
        max_images: int = 12,
        tile: int = 256,
        image_key: str = "image",
        pred_key: str = "pred",
        label_key: str = "label",
        done: Sequence[Mapping[str, str]] = (),
    ) -> None:
        if max_images < 1 or tile < 1:
            raise ValueError(f"OverlaySheet needs max_images >= 1 and tile >= 1, got {max_images} and {tile}.")
        self.output_path = Path(output_path)
        self.max_images = max_images
        self.tile = tile
        self.image_key = image_key
        self.pred_key = pred_key
        self.label_key = label_key
        self.done = done
        self._tiles: list[np.ndarray] = []

    def attach(self, engine: Engine) -> None:
        """Args:
        engine: evaluator whose postprocessing has brought the masks back to the picture's size.
        """
        engine.add_event_handler(Events.EPOCH_STARTED, self._start)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._collect)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self)

    def _start(self, _engine: Engine) -> None:
        self._tiles = []
        if idist.get_rank() == 0:
            for pair in self.done[: self.max_images]:
                mask = torch.from_numpy(decode_mask(pair["pred"])).movedim(-1, 0)
                self._tiles.append(self._tile(Path(pair["image"]), {self.pred_key: mask}))

    def _collect(self, engine: Engine) -> None:
        if idist.get_rank() != 0 or len(self._tiles) >= self.max_images:
            return
        for item in batch_items(engine.state.output)[: self.max_images - len(self._tiles)]:
            self._tiles.append(self._draw(item))

    def __call__(self, engine: Engine) -> None:
        """Write the sheet; nothing is written by other ranks or when there was no image."""
        if not self._tiles:
            return
        columns = math.ceil(math.sqrt(len(self._tiles)))
        grid = (math.ceil(len(self._tiles) / columns), columns)
        sheet = montage(np.stack(self._tiles), grid_shape=grid, channel_axis=-1, fill=[0, 0, 0], padding_width=4)
        with atomic_write(self.output_path) as path:
            Image.fromarray(sheet.astype(np.uint8)).save(path, format="PNG")
        engine.logger.info(f"Wrote the outlines of {len(self._tiles)} images to {self.output_path}")

    def _draw(self, item: Mapping[str, Any]) -> np.ndarray:
        """One padded tile `[tile, tile, 3]`, uint8."""
        meta = getattr(item[self.image_key], "meta", {})
        if ImageMetaKey.FILENAME_OR_OBJ not in meta:
            raise ValueError(f"OverlaySheet finds no file name in {self.image_key!r}: load the images with LoadImaged.")
        return self._tile(Path(str(meta[ImageMetaKey.FILENAME_OR_OBJ])), item)

    def _tile(self, file: Path, masks: Mapping[str, Any]) -> np.ndarray:
        picture = Image.fromarray(decode_picture(file))
        scale = self.tile / max(picture.size)
        width, height = (max(1, round(side * scale)) for side in picture.size)
        drawn = np.array(picture.resize((width, height), Image.Resampling.BILINEAR))
        for key, color in ((self.label_key, LABEL_COLOR), (self.pred_key, PREDICTION_COLOR)):
            if masks.get(key) is not None:
                mask = _as_image(masks[key], key, file, picture.size).resize((width, height))
                drawn[find_boundaries(np.array(mask), mode="thick")] = color
        top, left = (self.tile - height) // 2, (self.tile - width) // 2
        tile = np.zeros((self.tile, self.tile, 3), dtype=np.uint8)
        tile[top : top + height, left : left + width] = drawn
        return tile


def _as_image(mask: torch.Tensor, key: str, file: Path, size: tuple[int, int]) -> Image.Image:
    """A mask `[1, H, W]` as a black and white picture of the expected (width, height)."""
    array = np.asarray(torch.as_tensor(mask).detach().cpu()) > 0.5
    if array.shape != (1, size[1], size[0]):
        raise ValueError(
            f"The mask {key!r} of {file} has shape {array.shape}, its picture {(1, size[1], size[0])}: "
            "restore the mask to the original size before this handler."
        )
    return Image.fromarray(array[0])
