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
from medseg.errors import InputError


class VolumeReader(NibabelReader):
    """Reader for MONAI's `LoadImaged(keys, reader=...)`: NIfTI as MONAI reads it, DICOM series in the same form.

    A series, a path from `find_volumes`, becomes `[X, Y, Z]` in Hounsfield units with an affine to mm right, front and
    up, as its NIfTI does.
    """

    def verify_suffix(self, filename: Sequence[PathLike] | PathLike) -> bool:
        """Whether these are NIfTI files or DICOM series."""
        return all(is_series_path(path) for path in ensure_tuple(filename)) or super().verify_suffix(filename)

    def read(self, data: Sequence[PathLike] | PathLike, **kwargs: Any) -> Any:
        """Keep the path of one file or series for `get_data`.

        `LoadImage` answers an error in `read` by trying its other readers; an error in `get_data` reaches the user.

        Args:
            data: one path.
            **kwargs: as for `NibabelReader.read`, used where several paths are given.
        """
        paths = ensure_tuple(data)
        return Path(paths[0]) if len(paths) == 1 else super().read(data, **kwargs)

    def get_data(self, img: Any) -> tuple[np.ndarray, dict[Any, Any]]:
        """Decode what `read` returned.

        Returns:
            The volume `[X, Y, Z]` and its metadata.

        Raises:
            InputError: The file cannot be read, has not three axes or no finite value, or a series cannot be used, see
                `load_series`.
        """
        if not isinstance(img, Path):
            return super().get_data(img)
        if not is_series_path(img):
            return self._read_nifti(img)
        volume, affine = load_series(img)
        return volume, {
            MetaKeys.AFFINE: affine,
            MetaKeys.ORIGINAL_AFFINE: affine.copy(),
            MetaKeys.SPATIAL_SHAPE: np.asarray(volume.shape),
            MetaKeys.SPACE: SpaceKeys.RAS,
            MetaKeys.ORIGINAL_CHANNEL_DIM: float("nan"),
        }

    def _read_nifti(self, path: Path) -> tuple[np.ndarray, dict[Any, Any]]:
        try:
            volume, meta = super().get_data(super().read(path))
        except MemoryError:
            raise
        except Exception as error:  # nibabel and the decompression below it raise many kinds
            raise InputError(f"{path} cannot be read ({error}): replace it, or convert the series again.") from error
        if volume.ndim != 3:
            raise InputError(f"{path} has {volume.ndim} axes: give a volume of three.")
        if not np.isfinite(volume).any():
            raise InputError(f"{path} holds no finite value: export it again.")
        return volume, meta
