"""One matrix per axis gives what MONAI's smoothing and interpolation give."""

import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import Invertd, Resize, Resized

from medseg.transforms import AntialiasedResize, AntialiasedResized


@pytest.mark.parametrize(
    ("size", "new_size"),
    [((97, 61), (40, 24)), ((97, 30), (40, 64)), ((20, 75), (32, 48)), ((20, 30), (32, 48)), ((97, 61), (97, 24))],
)
def test_the_result_is_that_of_monai(size: tuple[int, int], new_size: tuple[int, int]) -> None:
    image = MetaTensor(torch.rand(3, *size, generator=torch.Generator().manual_seed(0)) * 255)
    expected = Resize(new_size, mode="bilinear", anti_aliasing=True)(image)
    resized = AntialiasedResize(new_size)(image)
    assert resized.dtype == torch.float32
    assert torch.allclose(resized.as_tensor(), expected.as_tensor(), atol=1e-4, rtol=0)
    assert torch.equal(resized.affine, expected.affine)


def test_each_axis_may_keep_its_size_and_integers_become_float() -> None:
    image = torch.arange(2 * 50 * 70, dtype=torch.uint8).reshape(2, 50, 70)
    expected = Resize((25, 70), mode="bilinear", anti_aliasing=True)(image.float())
    assert torch.allclose(AntialiasedResize((25, -1))(image), expected, atol=1e-4, rtol=0)


def test_it_is_inverted_as_that_of_monai() -> None:
    back = []
    image = MetaTensor(torch.rand(1, 60, 90, generator=torch.Generator().manual_seed(1)))
    for step in (
        Resized("image", (24, 32), mode="bilinear", anti_aliasing=True),
        AntialiasedResized("image", (24, 32)),
    ):
        case = step({"image": image.clone()})
        case["pred"] = torch.sigmoid(case["image"])
        undo = Invertd("pred", step, orig_keys="image", nearest_interp=False)
        back.append(undo(case)["pred"].as_tensor())
    assert back[0].shape == (1, 60, 90)
    assert torch.allclose(back[0], back[1], atol=1e-6)
