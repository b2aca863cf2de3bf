"""Writing masks and maps: pictures in 2-D, NIfTI in 3-D."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from monai.config import NdarrayOrTensor, PathLike
from monai.data import NibabelWriter, PILWriter

__all__ = ["PictureWriter", "VolumeWriter"]

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
            channel_dim: place of the channels; ``None`` for ``(H, W)``.
            squeeze_end_dims: has no effect: MONAI's way would squeeze away an H or W of 1 too.
            contiguous: whether to copy into one block of memory.
            kwargs: as for ``PILWriter.set_data_array``.
        """
        super().set_data_array(data_array, channel_dim, squeeze_end_dims=False, contiguous=contiguous, **kwargs)
        if channel_dim is not None and self.data_obj.shape[-1] == 1:
            self.data_obj = self.data_obj[..., 0]

    def write(self, filename: PathLike, verbose: bool = False, **kwargs: Any) -> None:
        """Write the picture.

        Args:
            filename: the file to write; its suffix decides the format. An existing file is replaced.
            verbose: if true, the name is logged.
            kwargs: as for ``PILWriter.write``, without ``reverse_indexing``.
        """
        with _whole_file(Path(filename)) as temporary:
            super().write(temporary, verbose=False, reverse_indexing=False, **kwargs)
        if verbose:
            logger.info("wrote %s", filename)


class VolumeWriter(NibabelWriter):
    """Writer for MONAI's ``SaveImaged(keys, writer=...)`` that keeps three axes and writes whole files.

    MONAI's ``NibabelWriter`` drops the last axis of a volume of a single slice, and writes in place.
    """

    def set_data_array(
        self, data_array: NdarrayOrTensor, channel_dim: int | None = 0, squeeze_end_dims: bool = False, **kwargs: Any
    ) -> None:
        """Take ``[1, X, Y, Z]``.

        Args:
            data_array: the volume.
            channel_dim: place of the one channel; ``None`` for ``(X, Y, Z)``.
            squeeze_end_dims: has no effect.
            kwargs: as for ``NibabelWriter.set_data_array``.
        """
        super().set_data_array(data_array, channel_dim, squeeze_end_dims=False, **kwargs)
        if self.data_obj.shape[-1] == 1:
            self.data_obj = self.data_obj[..., 0]

    def write(self, filename: PathLike, verbose: bool = False, **kwargs: Any) -> None:
        """Write the volume.

        Args:
            filename: the file to write, ``.nii`` or ``.nii.gz``. An existing file is replaced.
            verbose: if true, the name is logged.
            kwargs: as for ``NibabelWriter.write``.
        """
        with _whole_file(Path(filename)) as temporary:
            super().write(temporary, verbose=False, **kwargs)
        if verbose:
            logger.info("wrote %s", filename)


@contextmanager
def _whole_file(target: Path) -> Iterator[Path]:
    """A temporary path beside `target`, moved there when the block ends well."""
    # the name comes last, because writers take the format from its end; it is always the same one, so that what a
    # killed run leaves behind is overwritten when its case is done again
    temporary = target.with_name(f".tmp.{target.name}")
    try:
        yield temporary
        with open(temporary, "rb+") as written:
            os.fsync(written.fileno())  # or a power cut could leave an empty file under the new name
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
