"""Label maps in the source's voxels equal MONAI's inversion of the probabilities, in a small part of its memory."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.data import MetaTensor
from monai.transforms import AsDiscreted, Compose, Invertd, Orientationd, Spacingd
from nibabel.orientations import axcodes2ornt, inv_ornt_aff

from medseg.transforms import ArgmaxInvertd

AXES = [(0, "RL"), (1, "AP"), (2, "SI")]


@st.composite
def geometries(draw: st.DrawFn) -> tuple[tuple[int, ...], np.ndarray]:
    """Shape and affine of a volume in any order of axes, perhaps tilted."""
    shape = tuple(draw(st.integers(1, 11)) for _ in range(3))
    spacing = [draw(st.sampled_from([0.7, 1.0, 1.5, 3.2])) for _ in range(3)]
    codes = tuple(draw(st.sampled_from(pair)) for _, pair in draw(st.permutations(AXES)))
    angle = draw(st.sampled_from([0.0, 0.1]))
    tilt = np.eye(4)
    tilt[1:3, 1:3] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    turn = inv_ornt_aff(axcodes2ornt(codes), shape)
    return shape, tilt @ np.diag([*spacing, 1.0]) @ turn


def load(shape: tuple[int, ...], affine: np.ndarray, seed: int) -> dict[str, MetaTensor]:
    """A volume as `LoadImaged` gives it."""
    values = torch.rand(1, *shape, generator=torch.Generator().manual_seed(seed))
    meta = {"affine": torch.as_tensor(affine), "original_affine": affine, "spatial_shape": np.array(shape)}
    return {"image": MetaTensor(values, meta=meta)}


@settings(max_examples=40, deadline=None)
@given(geometry=geometries(), slab=st.integers(1, 400), classes=st.integers(2, 4), seed=st.integers(0, 99))
def test_equals_inverting_the_probabilities(geometry, slab, classes, seed):
    shape, affine = geometry
    there = Compose(
        [
            Orientationd(keys="image", axcodes="RAS", labels=[["L", "R"], ["P", "A"], ["I", "S"]]),
            Spacingd(keys="image", pixdim=[1.1, 2.0, 1.4]),
        ]
    )
    data = there(load(shape, affine, seed))
    grid = data["image"]
    draw = torch.rand(classes, *grid.shape[1:], generator=torch.Generator().manual_seed(seed + 1))
    data["pred"] = MetaTensor(draw).copy_meta_from(grid, copy_attr=False)
    back = Compose(
        [
            Invertd(keys="pred", orig_keys="image", transform=there, nearest_interp=False),
            AsDiscreted(keys="pred", argmax=True),
        ]
    )
    probabilities = Invertd(keys="pred", orig_keys="image", transform=there, nearest_interp=False)(dict(data))["pred"]
    expected = back(dict(data))["pred"]
    result = ArgmaxInvertd(keys="pred", slab_voxels=slab)(data)["pred"]
    assert (result.shape, result.dtype) == ((1, *shape), torch.uint8)
    np.testing.assert_allclose(result.affine, affine, atol=1e-6)
    top = probabilities.as_tensor().topk(2, dim=0).values
    clear = (top[0] - top[1])[None] > 1e-4  # rounding may decide a draw
    assert torch.equal(result.as_tensor()[clear], expected.as_tensor()[clear].to(torch.uint8))


def test_the_order_of_the_axes_does_not_even_change_draws():
    shape, affine = (5, 7, 9), np.diag([0.8, 1.3, 2.1, 1.0])
    turned = np.array([[0, 0, 1, 0], [1, 0, 0, 0], [0, -1, 0, 8], [0, 0, 0, 1.0]])  # from (y, -z, x) to (x, y, z)
    there = Spacingd(keys="image", pixdim=[1.1, 2.0, 1.4])
    grid = there(load(shape, affine, 0))["image"]
    scores = torch.randint(0, 2, (3, *grid.shape[1:]), generator=torch.Generator().manual_seed(1)).float()
    results = []
    for source_affine, source_shape in ((affine, shape), (affine @ turned, (7, 9, 5))):
        pred = MetaTensor(scores).copy_meta_from(grid, copy_attr=False)
        pred.meta["original_affine"], pred.meta["spatial_shape"] = source_affine, np.array(source_shape)
        results.append(ArgmaxInvertd(keys="pred")({"pred": pred})["pred"].as_tensor()[0].numpy())
    np.testing.assert_array_equal(results[1].transpose(2, 0, 1)[:, :, ::-1], results[0])


def test_one_class_is_refused():
    with pytest.raises(ValueError, match="2 to 255 classes"):
        ArgmaxInvertd(keys="pred")({"pred": MetaTensor(torch.rand(1, 3, 4, 5))})
