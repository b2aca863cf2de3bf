"""Reading of volumes in MONAI pipelines: NIfTI, and DICOM series."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from monai.config import PathLike
from monai.data import NibabelReader
from monai.utils import MetaKeys, SpaceKeys, ensure_tuple

from medseg.data.dicom.reading import load_series
from medseg.data.dicom.series import is_series_path
from medseg.data.limits import check_grid
from medseg.errors import InputError

logger = logging.getLogger("medseg")

_UNITS = {"meter": 1000.0, "mm": 1.0, "micron": 0.001, "unknown": 1.0}  # mm
_SAME_SPACING = 0.01  # relative


class VolumeReader(NibabelReader):
    """Reader for MONAI's `LoadImaged(keys, reader=...)`: NIfTI as MONAI reads it, DICOM series in the same form.

    A series, a path from `find_volumes`, becomes `[X, Y, Z]` in Hounsfield units with an affine to mm right, front and
    up, as its NIfTI does. Units of a NIfTI header that are not mm are converted.
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
            InputError: The file cannot be read, is too large, has not three axes, an infinite value or no finite one,
                an affine that is none, or a qform and an sform that disagree in voxel size or orientation; or a series
                cannot be used, see `load_series`.
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
            unit = _check_header(path)
            volume, meta = super().get_data(super().read(path))
        except (InputError, MemoryError):
            raise
        except Exception as error:  # nibabel and the decompression below it raise many kinds
            raise InputError(f"{path} cannot be read ({error}): replace it, or convert the series again.") from error
        if np.isinf(volume).any():
            raise InputError(f"{path} holds infinite values: export it again.")
        if not np.isfinite(volume).any():
            raise InputError(f"{path} holds no finite value: export it again.")
        for key in (MetaKeys.AFFINE, MetaKeys.ORIGINAL_AFFINE):
            meta[key] = np.diag([unit, unit, unit, 1.0]) @ np.asarray(meta[key])
        return volume, meta


def _check_header(path: Path) -> float:
    """Check what a NIfTI file declares, before its values are read; the unit of its affine in mm."""
    image: Any = nibabel.load(path)
    header = image.header
    if image.ndim != 3:
        raise InputError(f"{path} has {image.ndim} axes: give a volume of three.")
    if header.get_data_dtype().kind not in "biuf":
        raise InputError(f"{path} holds colors or complex numbers: export the original volume.")
    unit = _UNITS.get(header.get_xyzt_units()[0], 1.0)
    check_grid(path, image.shape, np.diag([unit, unit, unit, 1.0]) @ image.affine)
    qform, sform = header.get_qform(coded=True)[0], header.get_sform(coded=True)[0]
    if qform is not None and sform is not None and not np.allclose(qform, sform, rtol=1e-3, atol=1e-2):
        spacings = [np.linalg.norm(affine[:3, :3], axis=0) for affine in (qform, sform)]
        directions = [nibabel.orientations.aff2axcodes(affine) for affine in (qform, sform)]
        both = " and ".join(
            f"{name} ({' x '.join(f'{size:.3g}' for size in spacing)} mm, {''.join(map(str, axes))})"
            for name, spacing, axes in zip(("qform", "sform"), spacings, directions, strict=True)
        )
        if directions[0] != directions[1] or not np.allclose(spacings[0], spacings[1], rtol=_SAME_SPACING):
            raise InputError(f"{path} has {both} that disagree: convert the series again, or delete the wrong one.")
        logger.warning("%s has %s of other positions: the sform is used", path, both)
    return unit
