"""Writing masks and maps: pictures in 2-D, NIfTI in 3-D. Each file appears whole or not at all."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from monai.config import NdarrayOrTensor, PathLike
from monai.data import NibabelWriter, PILWriter
from PIL import Image

from medseg.files import atomic_write

logger = logging.getLogger("medseg")


class PictureWriter(PILWriter):
    """Writer for MONAI's `SaveImaged(keys, writer=...)` that keeps height and width and replaces files as a whole.

    MONAI's `PILWriter` transposes: it expects `[C, W, H]`, the counterpart of its reader. This one takes `[C, H, W]`.
    With `SaveImaged(..., output_ext=".png", scale=255, output_dtype="uint8", resample=False)` a mask `[1, H, W]` of 0
    and 1 becomes an 8-bit gray PNG of 0 and 255, H rows by W columns. The suffix decides the format.

    Args:
        label_values: value of class 0, 1, ... in the file, 0 to 255, or its color `[red, green, blue]`: then the file
            has the class numbers, with a palette of these colors. None writes the data as they are.
        kwargs: arguments of `PILWriter`.
    """

    def __init__(self, label_values: Sequence[int | Sequence[int]] | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.label_values = label_values

    def set_data_array(
        self,
        data_array: NdarrayOrTensor,
        channel_dim: int | None = 0,
        squeeze_end_dims: bool = False,
        contiguous: bool = False,
        **kwargs: Any,
    ) -> None:
        """Take `[C, H, W]`; one channel becomes a gray picture.

        `squeeze_end_dims` has no effect: MONAI's way would squeeze away an H or W of 1 too.
        """
        super().set_data_array(data_array, channel_dim, squeeze_end_dims=False, contiguous=contiguous, **kwargs)
        if channel_dim is not None and self.data_obj.shape[-1] == 1:
            self.data_obj = self.data_obj[..., 0]
        if self.label_values is not None and not self._colors:
            self.data_obj = np.asarray(self.label_values, dtype=np.uint8)[np.asarray(self.data_obj, dtype=np.uint8)]

    @property
    def _colors(self) -> bool:
        return self.label_values is not None and isinstance(self.label_values[0], Sequence)

    def write(self, filename: PathLike, verbose: bool = False, **kwargs: Any) -> None:
        """Write the picture; with `verbose` its name is logged."""
        with atomic_write(Path(filename), keep_suffix=True) as temporary:
            if self._colors:
                picture = Image.fromarray(np.asarray(self.data_obj, dtype=np.uint8))
                picture.putpalette(np.asarray(self.label_values, dtype=np.uint8).tobytes())
                picture.save(temporary)
            else:
                super().write(temporary, verbose=False, reverse_indexing=False, **kwargs)
        if verbose:
            logger.info("wrote %s", filename)


class VolumeWriter(NibabelWriter):
    """Writer for MONAI's `SaveImaged(keys, writer=...)` that keeps three axes and replaces files as a whole.

    MONAI's `NibabelWriter` drops the last axis of a volume of a single slice, and writes in place.
    """

    def set_data_array(
        self, data_array: NdarrayOrTensor, channel_dim: int | None = 0, squeeze_end_dims: bool = False, **kwargs: Any
    ) -> None:
        """Take `[1, X, Y, Z]`; `squeeze_end_dims` has no effect."""
        super().set_data_array(data_array, channel_dim, squeeze_end_dims=False, **kwargs)
        if self.data_obj.shape[-1] == 1:
            self.data_obj = self.data_obj[..., 0]

    def write(self, filename: PathLike, verbose: bool = False, **kwargs: Any) -> None:
        """Write the volume, `.nii` or `.nii.gz`; with `verbose` its name is logged."""
        with atomic_write(Path(filename), keep_suffix=True) as temporary:
            super().write(temporary, verbose=False, **kwargs)
        if verbose:
            logger.info("wrote %s", filename)
