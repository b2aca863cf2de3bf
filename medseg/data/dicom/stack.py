"""From the headers of a series to a regular stack of slices, or one sentence that says why it is none."""

import math
from typing import Any, NamedTuple, NoReturn

import numpy as np
from monai.utils import optional_import

from medseg.data.dicom.series import Header, Series
from medseg.errors import InputError

__all__ = ["Plane", "Stack", "stack_slices"]

pydicom, _ = optional_import("pydicom")
get_decoder, _ = optional_import("pydicom.pixels", name="get_decoder")

_FEWEST_SLICES = 3
_SAME = 1e-3  # mm or parts of a unit vector: headers round
_OFF_GRID = 0.2  # of the slice spacing: some scanners round positions to 0.1 mm
_OFF_NORMAL = 0.5  # pixels over the whole volume

_MACROS = {
    "ImagePositionPatient": "PlanePositionSequence",
    "ImageOrientationPatient": "PlaneOrientationSequence",
    "PixelSpacing": "PixelMeasuresSequence",
    "RescaleSlope": "PixelValueTransformationSequence",
    "RescaleIntercept": "PixelValueTransformationSequence",
    "RescaleType": "PixelValueTransformationSequence",
}


class Plane(NamedTuple):
    """One slice: a file, or a frame of a file.

    ``position`` (of the center of the first pixel) and ``spacing`` (between rows, between columns) are in mm,
    ``orientation`` are the unit vectors along a row and along a column, all in DICOM's axes to the left, back and up.
    Stored values times ``slope`` plus ``intercept`` are Hounsfield units.
    """

    file: str
    frame: int
    shape: tuple[int, int]
    position: tuple[float, ...]
    orientation: tuple[float, ...]
    spacing: tuple[float, ...]
    slope: float
    intercept: float


class Stack(NamedTuple):
    """Slices sorted along their normal, and the 4 x 4 matrix from (column, row, slice) to mm left, back and up."""

    planes: list[Plane]
    affine: np.ndarray


def stack_slices(series: Series) -> Stack:
    """Sort the slices of a CT series by their position along the slice normal.

    Args:
        series: the headers of its images.

    Returns:
        the slices in their order, evenly spaced, and their place in the patient.

    Raises:
        InputError: the series is not a volume in Hounsfield units on a regular, rectangular grid, or it is compressed
            in a way that cannot be decoded here. The message names the series and the remedy.
    """
    _check_headers(series)
    try:
        planes = [plane for header in series.headers for plane in _planes(header)]
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):  # texts may hold values of the header
        _refuse(series, "has headers with missing or unreadable values", "export it again")
    _check_alike(series, planes)
    return _sorted_stack(series, planes)


def _refuse(series: Series, fault: str, remedy: str) -> NoReturn:
    raise InputError(f"{series.name} {fault}: {remedy}.") from None


def _check_headers(series: Series) -> None:
    if series.broken:
        _refuse(
            series,
            f"lies beside {len(series.broken)} DICOM files that cannot be read ({series.broken[0]})",
            "copy these again or move them away",
        )
    datasets = [header.dataset for header in series.headers]
    kinds = {str(dataset.get("Modality", "unknown")) for dataset in datasets}
    if kinds != {"CT"}:
        _refuse(series, f"is not CT (its modality is {', '.join(sorted(kinds))})", "give a CT series")
    if any("LOCALIZER" in (dataset.get("ImageType") or ()) for dataset in datasets):
        _refuse(series, "is a localizer (scout view), or contains one", "give the series of slices alone")
    if any(dataset.get("SamplesPerPixel", 1) != 1 for dataset in datasets):
        _refuse(series, "holds color pictures", "give the original series")
    if len(datasets) > 1 and any((dataset.get("NumberOfFrames") or 1) > 1 for dataset in datasets):
        _refuse(series, f"has {len(datasets)} files, some of many frames", "give one multi-frame file per folder")
    if len({dataset.get("FrameOfReferenceUID") for dataset in datasets}) > 1:
        _refuse(series, "mixes frames of reference", "export each acquisition as a series of its own")
    for syntax in {dataset.file_meta.TransferSyntaxUID for dataset in datasets}:
        if not _can_decode(syntax):
            _refuse(
                series,
                f"is compressed ({syntax.name}) and there is no decoder for that here",
                "`pip install pylibjpeg[libjpeg,openjpeg]`, or decompress it, for example with dcmdjpeg or gdcmconv",
            )


def _can_decode(syntax: Any) -> bool:
    try:
        return bool(get_decoder(syntax).is_available)
    except NotImplementedError:
        return False


def _planes(header: Header) -> list[Plane]:
    dataset = header.dataset
    if not dataset.get("FrameOfReferenceUID"):
        raise ValueError("without it nothing can be said to lie on the series")
    return [_plane(header, frame) for frame in range(int(dataset.get("NumberOfFrames") or 1))]


def _plane(header: Header, frame: int) -> Plane:
    def numbers(keyword: str, count: int) -> tuple[float, ...]:
        values = tuple(float(value) for value in _value(header.dataset, keyword, frame))
        if len(values) != count or not all(map(math.isfinite, values)):
            raise ValueError(keyword)
        return values

    orientation = numbers("ImageOrientationPatient", 6)
    spacing = numbers("PixelSpacing", 2)
    along_row, along_column = np.split(np.asarray(orientation), 2)
    lengths = np.linalg.norm(along_row), np.linalg.norm(along_column)
    if not np.allclose(lengths, 1, atol=_SAME) or abs(along_row @ along_column) > _SAME or min(spacing) <= 0:
        raise ValueError("axes that are no axes")
    slope = _value(header.dataset, "RescaleSlope", frame)
    kind = _value(header.dataset, "RescaleType", frame)
    in_units = slope is not None and kind in (None, "", "HU", "US")  # US: not said, as many CT scanners write
    return Plane(
        file=header.file,
        frame=frame,
        shape=(int(header.dataset.Rows), int(header.dataset.Columns)),
        position=numbers("ImagePositionPatient", 3),
        orientation=orientation,
        spacing=spacing,
        slope=float(slope) if in_units else math.nan,
        intercept=float(_value(header.dataset, "RescaleIntercept", frame) or 0),
    )


def _value(dataset: Any, keyword: str, frame: int) -> Any:
    """The value of an attribute for a frame: its own, that of all frames, or the file's; None if there is none."""
    own = dataset.get("PerFrameFunctionalGroupsSequence") or []
    shared = dataset.get("SharedFunctionalGroupsSequence") or []
    groups = [*([own[frame]] if own else []), *shared]
    places = [item for group in groups for item in group.get(_MACROS[keyword]) or []]
    return next((place.get(keyword) for place in [*places, dataset] if keyword in place), None)


def _check_alike(series: Series, planes: list[Plane]) -> None:
    if any(math.isnan(plane.slope) for plane in planes):
        _refuse(
            series,
            "has no rescale slope and intercept to Hounsfield units",
            "give the original CT series, not a derived one",
        )
    if len({plane.shape for plane in planes}) > 1:
        _refuse(series, "mixes images of several sizes", "export each size as a series of its own")
    for field, what in (("orientation", "orientations"), ("spacing", "pixel spacings")):
        values = np.array([getattr(plane, field) for plane in planes])
        if np.ptp(values, axis=0).max() > _SAME:
            _refuse(series, f"mixes slices of several {what}", "export each as a series of its own")
    if len(planes) < _FEWEST_SLICES:
        _refuse(series, f"has {len(planes)} slices, too few for a volume", f"give at least {_FEWEST_SLICES}")


def _sorted_stack(series: Series, planes: list[Plane]) -> Stack:
    along_row, along_column = np.split(np.asarray(planes[0].orientation), 2)
    normal = np.cross(along_row, along_column)
    normal /= np.linalg.norm(normal)
    planes = sorted(planes, key=lambda plane: float(normal @ plane.position))
    positions = np.array([plane.position for plane in planes])
    spacing = _slice_spacing(series, positions @ normal)
    between_rows, between_columns = planes[0].spacing
    way = positions - positions[0]
    drift = np.linalg.norm(way - np.outer(way @ normal, normal), axis=1).max()
    if drift > _OFF_NORMAL * min(planes[0].spacing):
        angle = math.degrees(math.atan2(drift, (way @ normal).max()))
        _refuse(
            series,
            f"is sheared by {angle:.1f} degrees (tilted gantry)",
            "convert it to NIfTI with a tool that corrects the tilt, for example dcm2niix",
        )
    affine = np.eye(4)
    affine[:3, 0] = along_row * between_columns
    affine[:3, 1] = along_column * between_rows
    affine[:3, 2] = normal * spacing
    affine[:3, 3] = positions[0]
    return Stack(planes, affine)


def _slice_spacing(series: Series, distances: np.ndarray) -> float:
    """The spacing of slices at these sorted distances along the normal, in mm."""
    steps = np.diff(distances)
    copies = int((steps < _SAME).sum())
    if copies:
        _refuse(
            series,
            f"has {copies} slices at the position of another (phases, echoes or repeats in one series)",
            "export each as a series of its own",
        )
    spacing = (distances[-1] - distances[0]) / len(steps)
    regular = distances[0] + spacing * np.arange(len(distances))
    if np.abs(distances - regular).max() <= _OFF_GRID * spacing:
        return float(spacing)
    multiples = steps / np.median(steps)
    missing = int((np.round(multiples) - 1).sum())
    if missing > 0 and np.abs(multiples - np.round(multiples)).max() <= _OFF_GRID:
        _refuse(series, f"misses {missing} slices between others", "export the whole series again")
    _refuse(
        series,
        f"is spaced unevenly, {steps.min():.2f} to {steps.max():.2f} mm from slice to slice",
        "resample it to an even spacing and give it as NIfTI",
    )
