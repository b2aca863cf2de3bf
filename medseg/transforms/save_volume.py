"""Saving a label map as NIfTI, as DICOM SEG, or both."""

from collections.abc import Hashable, Mapping
from pathlib import Path

import numpy as np
import torch
from monai.config import KeysCollection, PathLike
from monai.transforms import MapTransform, SaveImaged

from medseg.data.dicom.series import is_series_path
from medseg.errors import InputError
from medseg.files import case_name, case_source
from medseg.results.dicom_seg import write_segmentation
from medseg.results.writers import VolumeWriter

__all__ = ["SaveDicomSegd", "SaveImageVolumed"]

_FORMATS = ("auto", "nifti", "dicom_seg", "both")


class SaveDicomSegd(MapTransform):
    """Write label maps of DICOM series as DICOM SEG, ``NAME.dcm``, see ``medseg.results.dicom_seg``.

    Args:
        keys: of the label maps, ``[1, X, Y, Z]`` with the meta data of a series loaded by
            :class:`medseg.data.VolumeReader`.
        output_dir: folder to write to.
        metadata: the bundle's ``metadata.json``, whose ``segments`` name and code the labels.
        allow_missing_keys: whether to pass over keys that are not there.

    Raises:
        InputError: when called, for a label map whose volume was not read from DICOM or that cannot be written.
    """

    def __init__(
        self, keys: KeysCollection, output_dir: PathLike, metadata: PathLike, allow_missing_keys: bool = False
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.output_dir = Path(output_dir)
        self.metadata = metadata

    def __call__(self, data: Mapping[Hashable, torch.Tensor]) -> dict[Hashable, torch.Tensor]:
        """Write the label map of each key; the data come back as they are."""
        for key in self.key_iterator(dict(data)):
            source = case_source(data[key].meta)  # type: ignore[attr-defined]
            if not is_series_path(source):
                raise InputError(f"{source} is not a DICOM series: set output_format to nifti.")
            labels = data[key].detach().cpu().numpy()[0]
            affine = np.asarray(data[key].affine.cpu())  # type: ignore[attr-defined]
            write_segmentation(labels, affine, source, self.metadata, self.output_dir / f"{case_name(source)}.dcm")
        return dict(data)


class SaveImageVolumed(SaveImaged):
    """Write label maps in the form of their source: DICOM SEG for a DICOM series, NIfTI for NIfTI, or as asked.

    It is a ``SaveImaged`` with medseg's writers, so that clients that leave saving to themselves find and drop it:
    MONAI Label by the class, MONAI Deploy by "SaveImage" in its name.

    Args:
        keys: of the label maps, ``[1, X, Y, Z]``, with the meta data of their volume.
        output_dir: folder for ``NAME.nii.gz`` and ``NAME.dcm``.
        metadata: as for :class:`SaveDicomSegd`.
        output_format: ``auto``, ``nifti``, ``dicom_seg`` or ``both``. NIfTI volumes are written as NIfTI always.
        allow_missing_keys: whether to pass over keys that are not there.

    Raises:
        InputError: for another ``output_format``; when called, as :class:`SaveDicomSegd`.
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

    def __call__(self, data: Mapping[Hashable, torch.Tensor]) -> dict[Hashable, torch.Tensor]:
        """Write the label maps of one case; the data come back as they are."""
        key = self.first_key(dict(data))
        from_dicom = bool(key) and is_series_path(case_source(data[key].meta))  # type: ignore[attr-defined]
        if from_dicom and self.output_format != "nifti":
            self.save_dicom(data)
        if not from_dicom or self.output_format in ("nifti", "both"):
            return super().__call__(data)
        return dict(data)
