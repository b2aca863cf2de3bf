"""Saving label maps of DICOM series as DICOM SEG."""

from collections.abc import Hashable, Mapping
from pathlib import Path

import numpy as np
from monai.config import KeysCollection, PathLike
from monai.data.meta_tensor import MetaTensor
from monai.transforms import MapTransform

from medseg.data.dicom.series import is_series_path
from medseg.errors import InputError
from medseg.files import case_name, case_source
from medseg.results.dicom_seg import write_segmentation


class SaveDicomSegd(MapTransform):
    """Write label maps of DICOM series as DICOM SEG, `NAME.dcm`, see `write_segmentation`.

    Args:
        keys: keys of the label maps, `[1, X, Y, Z]` with the metadata of a series loaded by `VolumeReader`.
        output_dir: folder to write to.
        metadata: the bundle's `metadata.json`, whose `segments` name and code the labels.
        allow_missing_keys: do nothing for missing keys.

    Raises:
        InputError: On a call, for a label map whose volume was not read from DICOM or that cannot be written.
    """

    def __init__(
        self, keys: KeysCollection, output_dir: PathLike, metadata: PathLike, allow_missing_keys: bool = False
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.output_dir = Path(output_dir)
        self.metadata = metadata

    def __call__(self, data: Mapping[Hashable, MetaTensor]) -> dict[Hashable, MetaTensor]:
        """Write the label map of each key and return a copy of `data`."""
        out = dict(data)
        for key in self.key_iterator(out):
            source = case_source(out[key].meta)
            if not is_series_path(source):
                raise InputError(f"{source} is not a DICOM series: set output_format to nifti.")
            labels, affine = out[key].detach().cpu().numpy()[0], np.asarray(out[key].affine.cpu())
            write_segmentation(labels, affine, source, self.metadata, self.output_dir / f"{case_name(source)}.dcm")
        return out
