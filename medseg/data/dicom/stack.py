"""From the headers of a series to a regular stack of slices, or one sentence that says why it is none.

Not highdicom's `get_volume_from_series`: it raises one and the same error for missing, doubled, unevenly spaced and
tilted slices, and needs three times the memory.
"""

import math
from typing import Any, NamedTuple, NoReturn

import numpy as np
from monai.utils import optional_import

from medseg.data.dicom.headers import SAME, Plane
from medseg.data.dicom.series import Series
from medseg.data.input_types import shown
from medseg.data.limits import check_grid
from medseg.errors import InputError

get_decoder, _ = optional_import("pydicom.pixels", name="get_decoder")

_FEWEST_SLICES = 3
_INFINITE = 1e9  # Hounsfield units that only a damaged header gives
_OFF_GRID = 0.2  # of the slice spacing: some scanners round positions to 0.1 mm
_OFF_NORMAL = 0.5  # pixels over the whole volume


class Stack(NamedTuple):
    """Slices sorted along their normal, and the 4 x 4 matrix from (column, row, slice) to mm left, back and up."""

    planes: list[Plane]
    affine: np.ndarray


def stack_slices(series: Series) -> Stack:
    """Sort the slices of a CT series by their position along the slice normal.

    Args:
        series: the headers of its images.

    Returns:
        The slices in their order, evenly spaced, and their place in the patient.

    Raises:
        InputError: The series is not a volume in Hounsfield units on a regular, rectangular grid, or it is compressed
            in a way that cannot be decoded here. The message names the series and the remedy.
    """
    _check_headers(series)
    planes = [plane._replace(file=header.file) for header in series.headers for plane in header.planes or ()]
    _check_alike(series, planes)
    return _sorted_stack(series, planes)


def _refuse(series: Series, fault: str, remedy: str) -> NoReturn:
    raise InputError(f"{series.name} {fault}: {remedy}.") from None


def _check_headers(series: Series) -> None:
    headers = series.headers
    if series.broken:
        _refuse(
            series,
            f"lies beside {len(series.broken)} DICOM files that cannot be read ({shown(series.broken)})",
            "copy these again or move them away",
        )
    kinds = {header.modality for header in headers}
    if kinds != {"CT"}:
        _refuse(series, f"is not CT (its modality is {', '.join(sorted(kinds))})", "give a CT series")
    if any(header.is_localizer for header in headers):
        _refuse(series, "is a localizer (scout view), or contains one", "give the series of slices alone")
    if any(header.is_color for header in headers):
        _refuse(series, "holds color pictures", "give the original series")
    if len(headers) > 1 and any(len(header.planes or ()) > 1 for header in headers):
        _refuse(series, f"has {len(headers)} files, some of many frames", "give one multi-frame file per folder")
    if len({header.frame_of_reference for header in headers}) > 1:
        _refuse(series, "mixes frames of reference", "export each acquisition as a series of its own")
    for syntax in {header.syntax for header in headers}:
        if not _can_decode(syntax):
            _refuse(
                series,
                f"is compressed ({syntax.name}) and there is no decoder for that here",
                "`pip install pylibjpeg[libjpeg,openjpeg]`, or decompress it, for example with dcmdjpeg or gdcmconv",
            )
    # without a frame of reference nothing can be said to lie on the series
    if not all(header.planes and header.frame_of_reference for header in headers):
        _refuse(series, "has headers with missing or unreadable values", "export it again")


def _can_decode(syntax: Any) -> bool:
    try:
        return bool(get_decoder(syntax).is_available)
    except NotImplementedError:
        return False


def _check_alike(series: Series, planes: list[Plane]) -> None:
    if any(math.isnan(plane.slope) for plane in planes):
        _refuse(
            series,
            "has no rescale slope and intercept to Hounsfield units",
            "give the original CT series, not a derived one",
        )
    if not all(plane.slope and abs(plane.slope) + abs(plane.intercept) < _INFINITE for plane in planes):
        _refuse(series, "has a rescale slope of 0, or an infinite slope or intercept", "export it again")
    if len({plane.shape for plane in planes}) > 1:
        _refuse(series, "mixes images of several sizes", "export each size as a series of its own")
    for field, what in (("orientation", "orientations"), ("spacing", "pixel spacings")):
        values = np.array([getattr(plane, field) for plane in planes])
        if np.ptp(values, axis=0).max() > SAME:
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
    check_grid(series.name, (*planes[0].shape, len(planes)), affine)
    return Stack(planes, affine)


def _slice_spacing(series: Series, distances: np.ndarray) -> float:
    """The spacing of slices at these sorted distances along the normal, in mm."""
    steps = np.diff(distances)
    copies = int((steps < SAME).sum())
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
