"""Saving label maps as NIfTI, as DICOM SEG, or both."""

from collections.abc import Hashable, Mapping
from pathlib import Path

import numpy as np
from monai.config import KeysCollection, PathLike
from monai.data.meta_tensor import MetaTensor
from monai.transforms import SaveImaged

from medseg.data.dicom.series import is_series_path
from medseg.errors import InputError
from medseg.files import case_source
from medseg.results.writers import VolumeWriter
from medseg.transforms.save_dicom_seg import SaveDicomSegd

_FORMATS = ("auto", "nifti", "dicom_seg", "both")


class SaveImageVolumed(SaveImaged):
    """Write label maps in the form of their source: DICOM SEG for a DICOM series, NIfTI for NIfTI, or as asked.

    It is a `SaveImaged`, so that clients that save by themselves find and drop it: MONAI Label by the class, MONAI
    Deploy by "SaveImage" in its name.

    Args:
        keys: keys of the label maps, `[1, X, Y, Z]`, with the metadata of their volume.
        output_dir: folder for `NAME.nii.gz` and `NAME.dcm`.
        metadata: as for `SaveDicomSegd`.
        output_format: `auto`, `nifti`, `dicom_seg` or `both`. NIfTI volumes are written as NIfTI always.
        allow_missing_keys: do nothing for missing keys.

    Raises:
        InputError: For another `output_format`; on a call, as `SaveDicomSegd`.
    """

    def __init__(
        self,
        keys: KeysCollection,
        output_dir: PathLike,
        metadata: PathLike,
        output_format: str = "auto",
        allow_missing_keys: bool = False,
    ) -> None:
        if output_format not in _FORMATS:
            raise InputError(f"output_format must be one of {', '.join(_FORMATS)}, got '{output_format}'.")
        super().__init__(
            keys,
            output_dir=Path(output_dir),
            output_postfix="",
            output_ext=".nii.gz",
            output_dtype=np.uint8,
            writer=VolumeWriter,
            resample=False,
            separate_folder=False,
            print_log=False,
            allow_missing_keys=allow_missing_keys,
        )
        self.output_format = output_format
        self.save_dicom = SaveDicomSegd(keys, output_dir, metadata, allow_missing_keys)

    def __call__(self, data: Mapping[Hashable, MetaTensor]) -> dict[Hashable, MetaTensor]:
        """Write the label maps of one case and return a copy of `data`."""
        key = self.first_key(dict(data))
        from_dicom = bool(key) and is_series_path(case_source(data[key].meta))
        if from_dicom and self.output_format != "nifti":
            self.save_dicom(data)
        if not from_dicom or self.output_format in ("nifti", "both"):
            return super().__call__(data)  # type: ignore[no-untyped-call]
        return dict(data)
