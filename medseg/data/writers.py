"""Writing 2-D masks and maps as pictures."""

from __future__ import annotations

import logging
import os
import uuid
from pathlib import Path
from typing import Any

from monai.config import NdarrayOrTensor, PathLike
from monai.data import PILWriter

__all__ = ["PictureWriter"]

logger = logging.getLogger(__name__)


class PictureWriter(PILWriter):
    """Writer for MONAI's ``SaveImaged(keys, writer=...)`` that keeps height and width and writes whole files.

    MONAI's ``PILWriter`` transposes: it expects ``[C, W, H]``, the counterpart of its reader. This one writes
    ``[C, H, W]`` as it is, into a temporary file in the same folder that is then moved to its name, so that a
    reader sees the old file or the new one.

    With ``SaveImaged(..., output_ext=".png", scale=255, output_dtype="uint8", resample=False)`` a mask
    ``[1, H, W]`` of 0 and 1 becomes an 8-bit grey PNG of 0 and 255, H rows by W columns.
    """

    def set_data_array(
        self,
        data_array: NdarrayOrTensor,
        channel_dim: int | None = 0,
        squeeze_end_dims: bool = False,
        contiguous: bool = False,
        **kwargs: Any,
    ) -> None:
        """Take `[C, H, W]`; one channel becomes a grey picture.

        Args:
            data_array: the picture.
            channel_dim: place of the channels.
            squeeze_end_dims: has no effect: MONAI's way would squeeze away an H or W of 1 too.
            contiguous: whether to copy into one block of memory.
            kwargs: as for ``PILWriter.set_data_array``.
        """
        super().set_data_array(data_array, channel_dim, squeeze_end_dims=False, contiguous=contiguous, **kwargs)
        if self.data_obj.shape[-1] == 1:
            self.data_obj = self.data_obj[..., 0]

    def write(self, filename: PathLike, verbose: bool = False, **kwargs: Any) -> None:
        """Write the picture.

        Args:
            filename: the file to write; its suffix decides the format. An existing file is replaced.
            verbose: if true, the name is logged.
            kwargs: as for ``PILWriter.write``, without ``reverse_indexing``.
        """
        target = Path(filename)
        # same suffix, because Pillow takes the format from it
        temporary = target.with_name(f".{target.stem}.{uuid.uuid4().hex}{target.suffix}")
        try:
            super().write(temporary, verbose=False, reverse_indexing=False, **kwargs)
            os.replace(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)
        if verbose:
            logger.info("wrote %s", target)
