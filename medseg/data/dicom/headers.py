"""Headers of DICOM images: the values that find, check and sort series, and nothing of the patient."""

import logging
import math
import re
import warnings
from pathlib import PurePosixPath
from typing import Any, NamedTuple

import numpy as np
from monai.utils import optional_import

from medseg.data.dicom.container import Container, starts_as_dicom

pydicom, _ = optional_import("pydicom")
# its warnings quote values of headers; whoever needs them sets the level again
logging.getLogger("pydicom").setLevel(logging.CRITICAL)

#: Differences, in mm or parts of a unit vector, that are rounding of headers.
SAME = 1e-3

_MACROS = {
    "ImagePositionPatient": "PlanePositionSequence",
    "ImageOrientationPatient": "PlaneOrientationSequence",
    "PixelSpacing": "PixelMeasuresSequence",
    "RescaleSlope": "PixelValueTransformationSequence",
    "RescaleIntercept": "PixelValueTransformationSequence",
    "RescaleType": "PixelValueTransformationSequence",
}
# all that is ever read
_TAGS = [
    *("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "SeriesNumber", "FrameOfReferenceUID", "Modality"),
    *("ImageType", "Rows", "Columns", "SamplesPerPixel", "NumberOfFrames"),
    *("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"),
    *_MACROS,
]
# Headers are kept, about 2 KB each, because a run needs those of a series three times: to list, to load and to write
# the DICOM SEG. The key changes with the file.
_KEPT: dict[tuple[str, str, int, int], "Header | None"] = {}
_MOST_KEPT = 100_000
_MOST_FRAMES = 20_000
_CLAIMING_SUFFIXES = (".dcm", ".ima")


class Plane(NamedTuple):
    """One slice: a file, or a frame of a file.

    `position` (of the center of the first pixel) and `spacing` (between rows, between columns) are in mm, `orientation`
    holds the unit vectors along a row and along a column, all in DICOM's axes to the left, back and up. Stored values
    times `slope` plus `intercept` are Hounsfield units; `slope` is NaN where the header does not say so.
    """

    file: str
    frame: int
    shape: tuple[int, int]
    position: tuple[float, ...]
    orientation: tuple[float, ...]
    spacing: tuple[float, ...]
    slope: float
    intercept: float


class Header(NamedTuple):
    """An image file. `file` is relative to its container; `planes` is None if values are missing or unreadable."""

    file: str
    series_uid: str
    instance_uid: str
    series_number: str
    modality: str
    is_localizer: bool
    is_color: bool
    frame_of_reference: str
    syntax: Any
    planes: tuple[Plane, ...] | None


def read_header(container: Container, name: str) -> Header | None:
    """The header of an image, or None for another file; read once a process as long as the file does not change.

    Raises:
        Exception: The file should be an image and is none. The text may hold values of the header: do not show it.
    """
    key = container.state(name)
    if key not in _KEPT:
        if len(_KEPT) >= _MOST_KEPT:
            _KEPT.clear()
        _KEPT[key] = _read(container, name)
    header = _KEPT[key]
    return None if header is None else header._replace(file=name)


def _read(container: Container, name: str) -> Header | None:
    try:
        with container.open(name) as file:
            is_dicom = starts_as_dicom(file)
    except OSError:
        if looks_like(name) in ("", *_CLAIMING_SUFFIXES):
            raise
        return None
    if not is_dicom:
        if name.lower().endswith(_CLAIMING_SUFFIXES):
            raise ValueError("no DICOM in a file of that suffix")
        return None
    with container.open(name) as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they quote values of the header
        dataset = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=_TAGS)
        kinds = [dataset.file_meta.MediaStorageSOPClassUID, dataset.get("SOPClassUID")]
        names = [pydicom.uid.UID(kind).name for kind in kinds if kind]
        if not any("Image Storage" in kind for kind in names):
            if any(kind.startswith("1.2.840.10008.") for kind in names):
                raise ValueError("a class that the standard does not have")
            return None
        if "Rows" not in dataset:
            raise ValueError("a header that ends too early")
        syntax = pydicom.uid.UID(dataset.file_meta.TransferSyntaxUID)
        if not syntax.is_valid:
            raise ValueError("no transfer syntax")
        return Header(
            file=name,
            series_uid=_uid(dataset.SeriesInstanceUID),
            instance_uid=_uid(dataset.SOPInstanceUID),
            series_number=str(dataset.get("SeriesNumber") or 0),
            modality=str(dataset.get("Modality", "unknown")),
            is_localizer="LOCALIZER" in (dataset.get("ImageType") or ()),
            is_color=dataset.get("SamplesPerPixel", 1) != 1,
            frame_of_reference=str(dataset.get("FrameOfReferenceUID") or ""),
            syntax=syntax,
            planes=_planes(dataset),
        )


def looks_like(name: str) -> str:
    """The suffix of a file name in lower case; empty for none and for a number, as DICOM files often have."""
    suffix = PurePosixPath(name).suffix.lower()
    return "" if suffix[1:].isdigit() else suffix


def _uid(value: Any) -> str:
    if not re.fullmatch(r"[0-9.]+", str(value)):
        raise ValueError("no UID")
    return str(value)


def _planes(dataset: Any) -> tuple[Plane, ...] | None:
    try:
        frames = int(dataset.get("NumberOfFrames") or 1)
        if not 1 <= frames <= _MOST_FRAMES or (frames > 1 and len(dataset.PerFrameFunctionalGroupsSequence) != frames):
            return None
        return tuple(_plane(dataset, frame) for frame in range(frames))
    except Exception:  # damaged values raise many kinds
        return None


def _plane(dataset: Any, frame: int) -> Plane:
    def numbers(keyword: str, count: int) -> tuple[float, ...]:
        values = tuple(float(value) for value in _value(dataset, keyword, frame))
        if len(values) != count or not all(map(math.isfinite, values)):
            raise ValueError(keyword)
        return values

    orientation = numbers("ImageOrientationPatient", 6)
    spacing = numbers("PixelSpacing", 2)
    along_row, along_column = np.split(np.asarray(orientation), 2)
    lengths = np.linalg.norm(along_row), np.linalg.norm(along_column)
    if not np.allclose(lengths, 1, atol=SAME) or abs(along_row @ along_column) > SAME or min(spacing) <= 0:
        raise ValueError("axes that are no axes")
    slope = _value(dataset, "RescaleSlope", frame)
    kind = _value(dataset, "RescaleType", frame)
    in_units = slope is not None and kind in (None, "", "HU", "US")  # US: not specified, as many CT scanners write
    return Plane(
        file="",
        frame=frame,
        shape=(int(dataset.Rows), int(dataset.Columns)),
        position=numbers("ImagePositionPatient", 3),
        orientation=orientation,
        spacing=spacing,
        slope=float(slope) if in_units else math.nan,
        intercept=float(_value(dataset, "RescaleIntercept", frame) or 0),
    )


def _value(dataset: Any, keyword: str, frame: int) -> Any:
    """The value of an attribute for a frame: its own, that of all frames, or the file's; None if there is none."""
    own = dataset.get("PerFrameFunctionalGroupsSequence") or []
    shared = dataset.get("SharedFunctionalGroupsSequence") or []
    groups = [*([own[frame]] if own else []), *shared]
    places = [item for group in groups for item in group.get(_MACROS[keyword]) or []]
    return next((place.get(keyword) for place in [*places, dataset] if keyword in place), None)
