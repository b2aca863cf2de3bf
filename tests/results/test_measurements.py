"""Measurements against analytic bodies, brute force over the whole mesh, scikit-image and MONAI."""

from itertools import permutations, product
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from monai.metrics.utils import get_mask_edges
from scipy.spatial.distance import pdist
from skimage.measure import label as label_by_skimage
from skimage.measure import marching_cubes, mesh_surface_area

from medseg.results import SegmentMeasurement, measure_segments, measurements, slice_axis_of

SPACING = np.array([0.7, 1.1, 2.5])


def affine_of(spacing: np.ndarray, rotation: np.ndarray | None = None, origin: tuple[float, ...] = ()) -> np.ndarray:
    affine = np.eye(len(spacing) + 1)
    affine[:-1, :-1] = (np.eye(len(spacing)) if rotation is None else rotation) @ np.diag(spacing)
    affine[:-1, -1] = origin or np.arange(len(spacing)) * 17.0 - 30
    return affine


def ellipsoid(shape: tuple[int, ...], spacing: np.ndarray, radii: tuple[float, ...]) -> np.ndarray:
    grids = np.meshgrid(
        *[(np.arange(n) - (n - 1) / 2) * s / r for n, s, r in zip(shape, spacing, radii, strict=True)], indexing="ij"
    )
    return (sum(grid**2 for grid in grids) <= 1).astype(np.uint8)


def measure(labels: np.ndarray, *args: Any, **kwargs: Any) -> SegmentMeasurement:
    return measure_segments(labels, {1: "organ"}, *args, **kwargs)[0]


def mesh(mask: np.ndarray, spacing: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    points, faces, _, _ = marching_cubes(np.pad(mask, 1).astype(np.float32), 0.5)
    return points * spacing, faces


def rotation(seed: int) -> np.ndarray:
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))[0]


def test_sphere_is_what_the_formulas_say() -> None:
    radius = 20.0
    spacing = np.array([0.8, 0.8, 1.25])
    ball = ellipsoid((61, 57, 45), spacing, (radius,) * 3)
    found = measure(ball, affine_of(spacing))
    assert found.volume_ml == pytest.approx(4 / 3 * np.pi * radius**3 / 1000, rel=0.005)
    assert found.largest_diameter_mm == pytest.approx(2 * radius, abs=max(spacing))  # half a voxel at both ends
    assert found.slice_axis == 2
    assert found.slice_areas_mm2 is not None
    assert max(found.slice_areas_mm2) == pytest.approx(np.pi * radius**2, rel=0.01)
    heights = (np.arange(45) - 22) * 1.25
    expected = np.pi * np.clip(radius**2 - heights**2, 0, None)
    np.testing.assert_allclose(found.slice_areas_mm2, expected, atol=0.02 * expected.max())
    assert 1.0 < found.surface_mm2 / (4 * np.pi * radius**2) < 1.12  # the mesh has steps
    edges_areas = get_mask_edges(torch.tensor(ball), torch.tensor(ball), crop=True, spacing=spacing.tolist())
    assert found.surface_mm2 == pytest.approx(float(edges_areas[2].sum()), rel=0.02)


def test_ellipsoid() -> None:
    radii = (9.0, 21.0, 15.0)
    found = measure(ellipsoid((40, 60, 20), SPACING, radii), affine_of(SPACING))
    assert found.volume_ml == pytest.approx(4 / 3 * np.pi * np.prod(radii) / 1000, rel=0.01)
    assert found.largest_diameter_mm == pytest.approx(42, rel=0.03)


def test_box_is_exact() -> None:
    labels = np.zeros((9, 8, 7), np.int16)
    labels[2:5, 1:7, 3:5] = 1
    values = np.arange(labels.size, dtype=np.float32).reshape(labels.shape)
    values[2, 1, 3] = np.nan
    found = measure(labels, affine_of(SPACING), values)
    assert (found.voxels, found.components) == (36, 1)
    assert found.volume_ml == pytest.approx(36 * 0.7 * 1.1 * 2.5 / 1000)
    assert found.bounding_box == ((2, 5), (1, 7), (3, 5))
    assert found.slice_areas_mm2 == pytest.approx([0, 0, 0, 18 * 0.77, 18 * 0.77, 0, 0])
    # face centers of opposite corners: a whole spacing along one axis, one voxel less along the others
    ends = [np.array([2, 5, 1]) * SPACING + extra for extra in np.diag(SPACING)]
    assert found.largest_diameter_mm == pytest.approx(max(map(np.linalg.norm, ends)))
    assert found.mean_intensity == pytest.approx(np.nanmean(values[2:5, 1:7, 3:5], dtype=np.float64))
    assert (found.area_mm2, found.area_pixels, found.largest_diameter_pixels) == (None, None, None)


@settings(deadline=None, max_examples=40)
@given(arrays(np.uint8, array_shapes(min_dims=3, max_dims=3, max_side=6), elements=st.integers(0, 1)))
def test_small_volumes_against_the_whole_mesh(mask: np.ndarray) -> None:
    found = measure(mask, affine_of(SPACING))
    assert found.voxels == mask.sum()
    assert found.components == label_by_skimage(mask, return_num=True)[1]
    if not mask.any():
        assert (found.surface_mm2, found.largest_diameter_mm, found.bounding_box) == (0, 0, None)
        return
    points, faces = mesh(mask, SPACING)
    assert found.surface_mm2 == pytest.approx(mesh_surface_area(points, faces), rel=1e-4)
    assert found.largest_diameter_mm == pytest.approx(pdist(points).max(), rel=1e-5)
    where = np.argwhere(mask)
    assert found.bounding_box == tuple(zip(where.min(axis=0), where.max(axis=0) + 1, strict=True))


@pytest.mark.parametrize("cells", [1, 200, 2000])
def test_slabs_of_the_mesh_add_up(cells: int, monkeypatch: pytest.MonkeyPatch) -> None:
    mask = np.random.default_rng(3).random((13, 11, 17)) > 0.4
    mask[..., 5:9] = False
    monkeypatch.setattr(measurements, "_CELLS_AT_ONCE", cells)
    points, faces = mesh(mask, SPACING)
    assert measure(mask.astype(np.uint8), affine_of(SPACING)).surface_mm2 == pytest.approx(
        mesh_surface_area(points, faces), rel=1e-4
    )


@pytest.mark.parametrize("body", ["cloud", "plane", "slanted plane", "line", "diagonal"])
def test_largest_diameter_of_many_points(body: str) -> None:
    mask = np.zeros((70, 75, 80), np.uint8)
    x, y = np.mgrid[:35, :40]
    if body == "cloud":
        where = np.random.default_rng(0).integers(5, 65, (3, 400))
    elif body == "plane":
        where = np.stack([x.ravel(), np.full(x.size, 7), y.ravel()])
    elif body == "slanted plane":
        where = np.stack([x.ravel(), y.ravel(), (x + y).ravel()])
    elif body == "line":
        where = np.stack([np.full(75, 3), np.arange(75), np.full(75, 9)])
    else:
        where = np.stack([np.arange(70)] * 3)
    mask[tuple(where)] = 1
    centers = where.T * SPACING
    faces = np.concatenate([centers + half for edge in np.diag(SPACING) for half in (edge / 2, -edge / 2)])
    assert measure(mask, affine_of(SPACING)).largest_diameter_mm == pytest.approx(pdist(faces).max())


@settings(deadline=None, max_examples=25)
@given(
    arrays(np.uint8, (5, 4, 6), elements=st.integers(0, 2)),
    st.sampled_from(list(permutations(range(3)))),
    st.tuples(*[st.booleans()] * 3),
    st.integers(0, 5),
)
def test_axes_and_rotation_do_not_matter(
    labels: np.ndarray, order: tuple[int, ...], flips: tuple[bool, ...], seed: int
) -> None:
    values = np.random.default_rng(0).normal(size=labels.shape)
    affine = affine_of(SPACING)
    turned = np.eye(4)
    turned[:3, :3] = rotation(seed)
    # new index -> old index
    index = np.zeros((4, 4))
    index[3, 3] = 1
    for new, old in enumerate(order):
        index[old, new] = -1 if flips[new] else 1
        index[old, 3] = labels.shape[old] - 1 if flips[new] else 0
    ways = tuple(slice(None, None, -1) if flip else slice(None) for flip in flips)
    names = {1: "a", 2: "b", 3: "c"}
    first = measure_segments(labels, names, affine, values)
    second = measure_segments(
        labels.transpose(order)[ways], names, turned @ affine @ index, values.transpose(order)[ways]
    )
    for one, other in zip(first, second, strict=True):
        assert other.slice_axis == order.index(one.slice_axis)
        areas = other.slice_areas_mm2[::-1] if flips[other.slice_axis] else other.slice_areas_mm2
        assert areas == pytest.approx(one.slice_areas_mm2)
        for name in ("voxels", "volume_ml", "largest_diameter_mm", "components", "mean_intensity"):
            assert getattr(other, name) == pytest.approx(getattr(one, name)), name
        # a rotation may change what marching cubes takes for the first axis, and so how it breaks ties
        assert other.surface_mm2 == pytest.approx(one.surface_mm2, rel=0.02)
    unrotated = measure_segments(labels.transpose(order)[ways], names, affine @ index)
    for one, other in zip(first, unrotated, strict=True):
        assert other.surface_mm2 == pytest.approx(one.surface_mm2, rel=1e-6)


def test_sheared_grid_is_measured_as_it_lies() -> None:
    """A gantry tilt: a stack of slices, each moved to the side, of a straight bar in space."""
    affine = np.diag([1.0, 1.0, 4.0, 1.0])
    affine[1, 2] = 2.0
    labels = np.zeros((6, 40, 8), np.uint8)
    for z in range(8):
        labels[2:5, 20 - 2 * z : 24 - 2 * z, z] = 1  # y = index + 2 z is the same in every slice
    found = measure(labels, affine)
    assert found.volume_ml == pytest.approx(8 * 12 * 4 / 1000)
    upright = np.zeros((6, 40, 8), np.uint8)
    upright[2:5, 20:24] = 1
    straight = measure(upright, np.diag([1.0, 1.0, 4.0, 1.0]))
    assert found.slice_areas_mm2 == pytest.approx(straight.slice_areas_mm2)
    # the edge of a sheared voxel along the slices leans, so that its ends are farther out
    assert found.largest_diameter_mm == pytest.approx(straight.largest_diameter_mm, abs=np.hypot(2, 4) / 2)


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 5, 1), (4, 1, 3), (1, 1), (1, 6)])
@pytest.mark.parametrize("spaced", [True, False])
def test_thin_arrays_and_single_voxels(shape: tuple[int, ...], spaced: bool) -> None:
    spacing = SPACING[: len(shape)]
    labels = np.ones(shape, np.uint8)
    found = measure(labels, affine_of(spacing) if spaced else None, np.full(shape, -5.0))
    assert (found.voxels, found.components, found.mean_intensity) == (labels.size, 1, -5)
    assert found.bounding_box == tuple((0, n) for n in shape)
    if spaced:
        ends = [(np.array(shape) - 1) * spacing + extra for extra in np.diag(spacing)]
        assert found.largest_diameter_mm == pytest.approx(max(map(np.linalg.norm, ends)))
    else:
        assert (found.volume_ml, found.surface_mm2, found.largest_diameter_mm, found.area_mm2) == (None,) * 4
    if len(shape) == 3 and labels.size == 1 and spaced:
        points, faces = mesh(labels, spacing)
        assert found.surface_mm2 == pytest.approx(mesh_surface_area(points, faces))


def test_picture() -> None:
    mask = np.zeros((12, 20), np.uint8)
    mask[3:7, 5:15] = 1
    mask[7, 15] = 1  # touches at a corner
    mask[11, 0] = 1
    gray = np.tile(np.arange(20.0), (12, 1))
    found = measure(mask, None, gray)
    assert (found.area_pixels, found.area_mm2, found.components) == (42, None, 2)
    assert found.bounding_box == ((3, 12), (0, 16))
    assert found.mean_intensity == pytest.approx(gray[mask > 0].mean())
    assert found.largest_diameter_mm is None
    points = np.argwhere(mask)
    faces = np.concatenate([points + half for half in ([0.5, 0], [-0.5, 0], [0, 0.5], [0, -0.5])])
    assert found.largest_diameter_pixels == pytest.approx(pdist(faces).max())
    assert (found.volume_ml, found.surface_mm2, found.slice_areas_mm2, found.slice_axis) == (None,) * 4
    scaled = measure(mask, np.diag([0.5, 0.25, 1.0]))
    assert scaled.area_mm2 == pytest.approx(42 * 0.125)
    assert scaled.largest_diameter_mm == pytest.approx(pdist(faces * [0.5, 0.25]).max())


def test_labels_without_a_name_and_names_without_a_label() -> None:
    labels = torch.zeros(3, 4, 5)
    labels[0, 1, 2] = 7
    found = measure_segments(labels, {2: "liver"}, torch.eye(4), torch.ones(3, 4, 5))
    assert [(item.label, item.name, item.voxels) for item in found] == [(2, "liver", 0), (7, "label 7", 1)]
    absent = found[0]
    assert (absent.volume_ml, absent.surface_mm2, absent.largest_diameter_mm, absent.components) == (0, 0, 0, 0)
    assert (absent.bounding_box, absent.mean_intensity) == (None, None)
    assert absent.slice_areas_mm2 == (0,) * 5


def test_only_values_that_are_no_number_have_no_mean() -> None:
    assert measure(np.ones((2, 3), np.uint8), None, np.full((2, 3), np.nan)).mean_intensity is None


@pytest.mark.parametrize(
    ("spacing", "axis"),
    [
        ((0.7, 0.7, 3.0), 2),
        ((0.7, 0.7, 0.5), 2),  # thin slices
        ((5.0, 0.9, 0.9), 0),
        ((1.0, 3.0, 1.001), 1),
        ((1.0, 1.0, 1.0), 2),  # from foot to head
        ((0.8, 2.0, 1.1), 1),
    ],
)
def test_slice_axis(spacing: tuple[float, ...], axis: int) -> None:
    affine = affine_of(np.array(spacing))
    assert slice_axis_of(affine) == axis
    for order, signs in product(permutations(range(3)), ([1, 1, 1], [-1, 1, -1])):
        assert slice_axis_of(affine[:, [*order, 3]] * [*signs, 1]) == order.index(axis)


@pytest.mark.parametrize(
    ("labels", "affine", "values", "message"),
    [
        (np.zeros(4, int), None, None, "2 or 3 axes"),
        (np.zeros((2, 3, 4), int), np.eye(3), None, "does not fit"),
        (np.zeros((2, 3, 4), int), np.diag([1.0, 0, 1, 1]), None, "no extent"),
        (np.zeros((2, 3, 4), int), np.eye(4) * np.nan, None, "no extent"),
        (np.zeros((2, 3), int), None, np.zeros((3, 2)), "intensities have the shape"),
    ],
)
def test_what_does_not_fit(
    labels: np.ndarray, affine: np.ndarray | None, values: np.ndarray | None, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        measure_segments(labels, {}, affine, values)
