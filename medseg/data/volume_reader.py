"""Reading of volumes in MONAI pipelines: NIfTI, and DICOM series."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from monai.config import PathLike
from monai.data import NibabelReader
from monai.utils import MetaKeys, SpaceKeys, ensure_tuple

from medseg.data.dicom.reading import load_series
from medseg.data.dicom.series import is_series_path

__all__ = ["VolumeReader"]


class VolumeReader(NibabelReader):
    """Reader for MONAI's `LoadImaged(keys, reader=...)`: NIfTI as MONAI reads it, DICOM series in the same form.

    A series, a path from `find_volumes`, becomes `[X, Y, Z]` in Hounsfield units with an affine to mm right, front and
    up, as its NIfTI does.
    """

    def verify_suffix(self, filename: Sequence[PathLike] | PathLike) -> bool:
        """Whether these are NIfTI files or DICOM series."""
        return all(is_series_path(path) for path in ensure_tuple(filename)) or super().verify_suffix(filename)

    def read(self, data: Sequence[PathLike] | PathLike, **kwargs: Any) -> Any:
        """Open one NIfTI file, or keep the path of one series for `get_data`.

        Args:
            data: one path.
            **kwargs: as for `NibabelReader.read`.
        """
        paths = ensure_tuple(data)
        if len(paths) == 1 and is_series_path(paths[0]):
            return Path(paths[0])
        return super().read(data, **kwargs)

    def get_data(self, img: Any) -> tuple[np.ndarray, dict[Any, Any]]:
        """Decode what `read` returned.

        Returns:
            The volume `[X, Y, Z]` and its metadata.

        Raises:
            InputError: A series cannot be used, see `load_series`.
        """
        if not isinstance(img, Path):
            return super().get_data(img)
        volume, affine = load_series(img)
        return volume, {
            MetaKeys.AFFINE: affine,
            MetaKeys.ORIGINAL_AFFINE: affine.copy(),
            MetaKeys.SPATIAL_SHAPE: np.asarray(volume.shape),
            MetaKeys.SPACE: SpaceKeys.RAS,
            MetaKeys.ORIGINAL_CHANNEL_DIM: float("nan"),
        }
