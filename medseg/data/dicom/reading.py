"""Decoding a DICOM series into a volume."""

import warnings
from itertools import groupby
from operator import attrgetter
from typing import Any

import numpy as np
from monai.config import PathLike
from monai.utils import optional_import

from medseg.data.dicom.container import Container
from medseg.data.dicom.series import Series, container_of, open_series
from medseg.data.dicom.stack import Stack, stack_slices
from medseg.errors import InputError

pydicom, _ = optional_import("pydicom")
pixel_array, _ = optional_import("pydicom.pixels", name="pixel_array")


def load_series(path: PathLike) -> tuple[np.ndarray, np.ndarray]:
    """Read a CT series.

    Args:
        path: one of `find_volumes`, or a folder, zip or DICOM file of one series.

    Returns:
        The volume in Hounsfield units, float32 ``[X, Y, Z]`` of columns, rows and slices, and its affine ``[4, 4]`` to
        mm right, front and up (RAS, as NIfTI's). Slices are sorted by position along their normal.

    Raises:
        InputError: The extra `dicom` is missing, there is no such series, it is not a regular volume, or a file of
            it cannot be decoded. The message names the series and holds nothing of its patient.
    """
    with container_of(path) as container:
        series = open_series(path, container)
        stack = stack_slices(series)
        volume = _decode(container, series, stack)
    # rounded as NIfTI stores it: MONAI's Spacing puts oblique volumes on another grid for a difference of 1e-8
    affine = (np.diag([-1.0, -1.0, 1.0, 1.0]) @ stack.affine).astype(np.float32)
    return volume, affine.astype(np.float64)


def _decode(container: Container, series: Series, stack: Stack) -> np.ndarray:
    rows, columns = stack.planes[0].shape
    # slices are contiguous in this order, as in NIfTI; one file is in memory beside the volume
    volume = np.empty((columns, rows, len(stack.planes)), np.float32, order="F")
    numbered = sorted(enumerate(stack.planes), key=lambda pair: pair[1].file)
    for name, group in groupby(numbered, key=lambda pair: attrgetter("file")(pair[1])):
        try:
            with container.open(name) as file, warnings.catch_warnings():
                warnings.simplefilter("ignore")  # they quote values of the header
                dataset = pydicom.dcmread(file)
                _check_length(dataset)
                for index, plane in group:
                    stored = pixel_array(dataset, index=plane.frame)
                    volume[..., index] = (stored * plane.slope + plane.intercept).T
        except Exception:  # decoders raise many kinds; their texts may hold values of the header
            raise InputError(f"{series.name} has a file that cannot be decoded ({name}): copy it again.") from None
    return volume


def _check_length(dataset: Any) -> None:
    """Refuse pixels that are not as many as the header says; a decoder would cut what is too much."""
    if dataset.file_meta.TransferSyntaxUID.is_encapsulated:
        return
    values = dataset.Rows * dataset.Columns * int(dataset.get("NumberOfFrames") or 1)
    size = (values * dataset.BitsAllocated + 7) // 8
    if len(dataset.PixelData) not in (size, size + 1):
        raise ValueError("pixel data of another size")
