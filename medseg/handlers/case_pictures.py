from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import ignite.distributed as idist
import numpy as np
import torch
from ignite.engine import Engine, Events
from monai.data import MetaTensor
from monai.utils import CommonKeys, convert_to_numpy
from PIL import Image

from medseg.data.batches import batch_items
from medseg.data.sources import source_of
from medseg.files import atomic_write, case_source
from medseg.results.pictures import SHEET_FILE, contact_sheet, draw_picture, draw_volume, picture_file


@dataclass(eq=False, repr=False)
class CasePictures:
    """A PNG of every case of an evaluator: the outlines of its mask on the image.

    The outline of each label has a color of `medseg.results.pictures`; a true mask, where there is one, lies below in
    white. An empty mask has no outline. A volume becomes a montage of slices, see `draw_volume`.

    Items of `engine.state.output` need `image` (a MetaTensor that knows its file), `pred` and optionally `label`:
    label maps `[1, ...]` of 0, 1, 2, ... or one-hot `[C, ...]` with the background first, in the file's own pixels
    `[H, W]` or voxels `[X, Y, Z]`. The image is shown as its file has it (`medseg.data.sources.source_of`).

    A picture is `NAME.png` after its case, in a folder `set_name` where the item has one. Every process writes those of
    its own cases; at the end of the run the first one joins them to a contact sheet, `overlays.png`.

    Args:
        output_dir: folder of the pictures; made when missing.
        intensity_range: lowest and highest value to show of a volume, in its file's units (HU: a window of
            lung tissue is (-1350, 150)); None for its 1st and 99th percentile. Pictures are shown as they are.
        slices: number of slices of a volume at most.
        columns: number of slices in a row.
        max_side: of a picture or montage, in pixels; larger ones are made smaller.
        cases: items of all cases in their order, also those of earlier runs, with their file as `image`.
        sheet: number of pictures in the contact sheet, the first of `cases`; none is written if it is 0.

    Raises:
        ValueError: when a number is not positive or a range is empty, or (while running) when a mask has not the
            size of its image.
        InputError: (while running) when the image knows no file.
    """

    output_dir: str | Path
    intensity_range: Sequence[float] | None = None
    slices: int = 12
    columns: int = 4
    max_side: int = 1024
    cases: Sequence[Mapping[str, Any]] = ()
    sheet: int = 12

    def __post_init__(self) -> None:
        if min(self.slices, self.columns) < 1 or self.max_side < 16 * self.columns or self.sheet < 0:
            raise ValueError(
                "CasePictures needs slices and columns >= 1, max_side >= 16 a column and sheet >= 0, "
                f"got {self.slices}, {self.columns}, {self.max_side} and {self.sheet}."
            )
        if self.intensity_range is not None and not self.intensity_range[0] < self.intensity_range[1]:
            raise ValueError(f"intensity_range must be (lowest, highest), got {tuple(self.intensity_range)}.")

    def attach(self, engine: Engine) -> None:
        """Draw after every batch of an evaluator whose postprocessing restores the masks to the file's geometry."""
        engine.add_event_handler(Events.ITERATION_COMPLETED, self)
        if self.sheet and len(self.cases):
            engine.add_event_handler(Events.COMPLETED, self._write_sheet)

    def __call__(self, engine: Engine) -> None:
        """Write the pictures of the batch just completed."""
        for item, given in zip(batch_items(engine.state.output), batch_items(engine.state.batch), strict=True):
            file = case_source(getattr(item[CommonKeys.IMAGE], "meta", {}))
            keys = (CommonKeys.LABEL, CommonKeys.PRED)
            masks = [_label_map(item[key]) for key in keys if item.get(key) is not None]
            target = picture_file(self.output_dir, file, given.get("set_name", ""))
            _write(self._draw(source_of(given), file, masks), target)

    def _draw(self, source: MetaTensor, file: str, masks: list[np.ndarray]) -> np.ndarray:
        shape = tuple(source.shape[: masks[-1].ndim])
        for mask in masks:
            if mask.shape != shape:
                raise ValueError(
                    f"A mask of {file} has the shape {mask.shape}, its image {shape}: "
                    "restore the mask to the original size before this handler."
                )
        image = source.numpy()
        if image.ndim > len(shape):
            return draw_picture(image.astype(np.uint8), masks, self.max_side)
        affine = np.asarray(source.affine)
        return draw_volume(image, affine, masks, self.intensity_range, self.slices, self.columns, self.max_side)

    def _write_sheet(self, _engine: Engine) -> None:
        idist.barrier()  # until the other processes have written theirs
        if idist.get_rank() != 0:
            return
        files = (picture_file(self.output_dir, case["image"], case.get("set_name", "")) for case in self.cases)
        if found := list(islice(filter(Path.is_file, files), self.sheet)):
            _write(contact_sheet(found), Path(self.output_dir, SHEET_FILE))


def _write(picture: np.ndarray, target: Path) -> None:
    with atomic_write(target) as path:
        Image.fromarray(picture).save(path, format="PNG", compress_level=1)  # a quarter of the time for 13 % more bytes


def _label_map(mask: torch.Tensor) -> np.ndarray:
    """`[1, ...]` labels or `[C, ...]` one-hot as uint8 labels `[...]`."""
    array = convert_to_numpy(mask)
    if len(array) == 1:
        return array[0].astype(np.uint8, copy=False)
    labels = np.zeros(array.shape[1:], dtype=np.uint8)
    for label in range(1, len(array)):  # argmax would want eight bytes a voxel
        labels[array[label] > 0.5] = label
    return labels
