"""What is measured of a segment, and how it is described, written and shown."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple


class Measure(NamedTuple):
    """How a field of `SegmentMeasurement` is described, written and shown.

    Attributes:
        meaning: its description in the JSON schema, with the unit and what None (null) means.
        heading: of its column in the report; empty if the report does not show it.
        unit: what follows the heading in parentheses.
        decimals: in the report.
        column: its name in `measurements.csv`; empty for that of the field.
        cell: value, not None -> what `measurements.csv` holds.
    """

    meaning: str
    heading: str = ""
    unit: str = ""
    decimals: int = 0
    column: str = ""
    cell: Callable[[Any], Any] = lambda value: value


def _field(*args: Any, **kwargs: Any) -> Any:
    return field(metadata={"measure": Measure(*args, **kwargs)})


def _ranges(box: Iterator[tuple[int, int]]) -> str:
    return " ".join(f"{first}:{stop}" for first, stop in box)


@dataclass(frozen=True)
class SegmentMeasurement:
    """What is measured of one label of one case. This is the one place to declare a measurement.

    The columns of `measurements.csv` and of the report follow from the fields, in their order; a test compares
    `measurements.schema.json` with them. A label that does not occur measures 0, and has None for what nothing has.

    The mesh is that of marching cubes at 0.5 (as in IBSI's reference manual). It has steps: a smooth object's area is
    9 % too large in cubic voxels, 20 % in voxels four times as long. Its points lie half a voxel outside the centers,
    so that a row of n voxels is n spacings long.
    """

    label: int = _field("value in the mask; a picture's mask file holds 255 for it")
    name: str = _field("name of the label in the bundle's metadata")
    voxels: int = _field("number of voxels, or of pixels", "Voxels")
    volume_ml: float | None = _field("milliliters; null for a picture", "Volume", "ml", 2)
    area_mm2: float | None = _field("square millimeters; null for a volume or without a spacing", "Area", "mm²", 1)
    area_pixels: int | None = _field("null for a volume", "Area", "pixels")
    surface_mm2: float | None = _field(
        "square millimeters of the mesh by marching cubes; null for a picture", "Surface", "mm²"
    )
    largest_diameter_mm: float | None = _field(
        "millimeters between the two points of the segment that are farthest apart; null without a spacing",
        *("Largest diameter", "mm", 1),
    )
    largest_diameter_pixels: float | None = _field("the same in pixels; null for a volume")
    components: int = _field("connected parts; voxels that share a corner are connected", "Parts")
    mean_intensity: float | None = _field(
        "mean of the source's values in the segment; null if there are none", "Mean intensity", decimals=1
    )
    intensity_unit: str = _field("unit of mean_intensity; gray level: 0 to 255")
    slice_axis: int | None = _field("axis of the source along which its slices lie; null for a picture")
    slice_areas_mm2: tuple[float, ...] | None = _field(
        "area in each slice along slice_axis, in the source's order; null for a picture or without a spacing",
        column="largest_slice_area_mm2",
        cell=max,
    )
    bounding_box: tuple[tuple[int, int], ...] | None = _field(
        "per axis of the source; null for a label that does not occur", cell=_ranges
    )


#: Name of a field of `SegmentMeasurement` -> how it is described, written and shown
MEASURES: dict[str, Measure] = {one.name: one.metadata["measure"] for one in fields(SegmentMeasurement)}
