"""Sizes of the segments of a label map: in millimeters from the affine, in pixels without one."""

import math
from collections.abc import Iterator, Mapping
from itertools import combinations

import numpy as np
from monai.config import NdarrayOrTensor
from monai.utils import convert_to_numpy
from nibabel.orientations import apply_orientation, io_orientation
from scipy.ndimage import generate_binary_structure
from scipy.ndimage import label as label_components
from scipy.spatial import ConvexHull
from scipy.spatial.distance import cdist
from skimage.measure import marching_cubes, mesh_surface_area, regionprops

from medseg.results.segment_measurement import SegmentMeasurement

_SAME_SPACING = 0.01  # two spacings are the same up to this share
_CELLS_AT_ONCE = 2**22  # of the surface's mesh: about 200 MB of temporary memory
_POINTS_AT_ONCE = 512  # whose distances to all others are computed


def measure_segments(
    labels: NdarrayOrTensor,
    names: Mapping[int, str],
    affine: NdarrayOrTensor | None = None,
    intensities: NdarrayOrTensor | None = None,
    intensity_unit: str = "gray level",
) -> list[SegmentMeasurement]:
    """Measure every label of a label map.

    Lengths, areas and volumes are those of the voxels in space: order, direction and rotation of the axes do not
    matter, and shear (a tilted gantry) is accounted for. Memory is a few copies of a label's bounding box.

    Args:
        labels: whole numbers `[X, Y, Z]` or `[H, W]`; 0 is background.
        names: label -> name. These are measured, occurring or not, and then, as `label N`, what else occurs.
        affine: array index to mm, `[4, 4]`, or `[3, 3]` for a picture; None where the spacing is unknown.
        intensities: values of the source, of the labels' shape.
        intensity_unit: their unit.

    Returns:
        a measurement per label, by ascending label.

    Raises:
        ValueError: if the labels have not two or three axes, the intensities another shape, or the affine does not
            fit or is singular.
    """
    array = convert_to_numpy(labels)
    if array.ndim not in (2, 3):
        raise ValueError(f"A label map to measure has 2 or 3 axes, got the shape {array.shape}.")
    if not np.issubdtype(array.dtype, np.integer):
        array = np.rint(array).astype(np.int32)
    values = None if intensities is None else convert_to_numpy(intensities)
    if values is not None and values.shape != array.shape:
        raise ValueError(f"The intensities have the shape {values.shape}, their label map {array.shape}.")
    edges = None if affine is None else _voxel_edges(np.asarray(convert_to_numpy(affine), np.float64), array.ndim)
    regions = {int(region.label): region for region in regionprops(array)}
    found = []
    for label in sorted(names.keys() | regions.keys()):
        region = regions.get(label)
        box = region.slice if region else (slice(0, 0),) * array.ndim
        mask = region.image if region else np.zeros((0,) * array.ndim, bool)
        inside = None if values is None else values[box]
        name = names.get(label, f"label {label}")
        found.append(_measure(label, name, mask, box, array.shape, edges, inside, intensity_unit))
    return found


def slice_axis_of(affine: NdarrayOrTensor) -> int:
    """The axis of a volume along which its slices were taken.

    If two spacings are equal to 1 %, as the sides of a scanner's square pixels, it is the third axis. If all three
    are equal, it is the one nearest to the direction from foot to head; if all differ, that of the largest spacing.

    Args:
        affine: array index to mm, `[4, 4]`, third row from foot to head (or back) as in RAS and LPS.
    """
    return _slice_axis(_voxel_edges(np.asarray(convert_to_numpy(affine), np.float64), 3))


def _slice_axis(edges: np.ndarray) -> int:
    spacing = np.linalg.norm(edges, axis=0)
    pairs = [(i, j) for i, j in combinations(range(3), 2) if np.isclose(spacing[i], spacing[j], rtol=_SAME_SPACING)]
    if len(pairs) == 1:
        return 3 - sum(pairs[0])
    return int(np.argmax(np.abs(edges[2]) / spacing if pairs else spacing))


def _voxel_edges(affine: np.ndarray, axes: int) -> np.ndarray:
    """A voxel's edges as columns, in mm: `[3, axes]`, or `[2, 2]` from the affine of a picture."""
    size = len(affine) - 1
    if affine.shape != (size + 1, size + 1) or size < axes:
        raise ValueError(f"An affine of the shape {affine.shape} does not fit a label map of {axes} axes.")
    edges = affine[:size, :axes]
    if not np.isfinite(edges).all() or np.linalg.matrix_rank(edges) < axes:
        raise ValueError(f"The affine {affine.tolist()} gives a voxel no extent along some axis.")
    return edges


def _extent(edges: np.ndarray) -> float:
    """Area or volume that the columns of `edges` span."""
    return float(np.sqrt(np.linalg.det(edges.T @ edges)))


def _measure(
    label: int,
    name: str,
    mask: np.ndarray,
    box: tuple[slice, ...],
    shape: tuple[int, ...],
    edges: np.ndarray | None,
    values: np.ndarray | None,
    intensity_unit: str,
) -> SegmentMeasurement:
    """Measure `mask`, cut out of an array of `shape` at `box`; `values` likewise."""
    flat = mask.ndim == 2
    voxels = int(np.count_nonzero(mask))
    corners = _corners(mask)
    axis = None if flat else 2 if edges is None else _slice_axis(edges)
    areas = None
    if axis is not None and edges is not None:
        areas = np.zeros(shape[axis])
        areas[box[axis]] = mask.sum(axis=tuple({0, 1, 2} - {axis})) * _extent(np.delete(edges, axis, axis=1))
    return SegmentMeasurement(
        label=label,
        name=name,
        voxels=voxels,
        volume_ml=None if flat or edges is None else voxels * _extent(edges) / 1000,
        area_mm2=voxels * _extent(edges) if flat and edges is not None else None,
        area_pixels=voxels if flat else None,
        surface_mm2=None if flat or edges is None else _surface(mask, edges),
        largest_diameter_mm=None if edges is None else _largest_distance(corners @ edges.T),
        largest_diameter_pixels=_largest_distance(corners) if flat else None,
        components=int(label_components(mask, structure=generate_binary_structure(mask.ndim, mask.ndim))[1]),
        mean_intensity=_finite_mean(mask, values),
        intensity_unit=intensity_unit,
        slice_axis=axis,
        slice_areas_mm2=None if areas is None else tuple(areas.tolist()),
        bounding_box=tuple((int(side.start), int(side.stop)) for side in box) if voxels else None,
    )


def _finite_mean(mask: np.ndarray, values: np.ndarray | None) -> float | None:
    if values is None:
        return None
    sums, count = [], 0
    for row, chosen in zip(values, mask, strict=True):  # one after the other: a large segment is not copied as a whole
        inside = row[chosen]
        inside = inside[np.isfinite(inside)]
        sums.append(float(inside.sum(dtype=np.float64)))
        count += inside.size
    return math.fsum(sums) / count if count else None


def _surface(mask: np.ndarray, edges: np.ndarray) -> float:
    """Area of the closed mesh around a 3-D mask, in slabs so that memory does not grow with the mask."""
    # one order of the axes for the same anatomy, since marching cubes breaks ties by it
    orientation = io_orientation(np.pad(edges, (0, 1)))
    mask = apply_orientation(mask, orientation)
    turned = np.empty_like(edges)
    turned[:, orientation[:, 0].astype(int)] = edges * orientation[:, 1]
    return math.fsum(_mesh_area(slab, turned) for slab in _slabs(mask))


def _slabs(mask: np.ndarray) -> Iterator[np.ndarray]:
    """The mask in a frame of zeros, in slabs along its last axis that share a slice with the next one."""
    depth = mask.shape[2] + 2 if mask.size else 0
    step = max(1, _CELLS_AT_ONCE // max(1, mask.shape[0] * mask.shape[1]))
    for start in range(0, depth - 1, step):
        inner = mask[..., max(0, start - 1) : start + step]  # slices start to start + step in the frame
        before, after = int(start == 0), int(start + step >= depth - 1)
        yield np.pad(inner, ((1, 1), (1, 1), (before, after)))


def _mesh_area(slab: np.ndarray, edges: np.ndarray) -> float:
    if not slab.any():  # the frame's zeros are in every slab, so that there is a surface in all others
        return 0.0
    vertices, faces, _, _ = marching_cubes(slab.astype(np.float32), level=0.5)
    return float(mesh_surface_area(vertices @ edges.T, faces))


def _corners(mask: np.ndarray) -> np.ndarray:
    """The corners of the convex hull of all face centers of the mask's voxels: indices `[N, axes]`, none if empty."""
    lines = mask.any(axis=-1)
    rows = mask[lines]
    if not len(rows):
        return np.zeros((0, mask.ndim))
    ends = rows.argmax(axis=1), rows.shape[1] - 1 - rows[:, ::-1].argmax(axis=1)
    points = np.concatenate([np.c_[np.argwhere(lines), end] for end in ends])
    halves = np.eye(mask.ndim) / 2
    faces = np.concatenate([points + half for half in (*halves, *-halves)])  # these never lie in a plane
    return faces[ConvexHull(faces).vertices]


def _largest_distance(points: np.ndarray) -> float:
    """Between any two of the points `[N, axes]`; 0 if there are none."""
    parts = (points[start : start + _POINTS_AT_ONCE] for start in range(0, len(points), _POINTS_AT_ONCE))
    return max((float(cdist(part, points).max()) for part in parts), default=0.0)
