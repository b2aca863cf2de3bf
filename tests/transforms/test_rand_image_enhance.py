import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from PIL import Image, ImageEnhance

from medseg.transforms.rand_image_enhance import RandImageEnhanced, adjust_brightness, adjust_contrast, adjust_sharpness

PAIRS = [
    (adjust_contrast, ImageEnhance.Contrast),
    (adjust_sharpness, ImageEnhance.Sharpness),
    (adjust_brightness, ImageEnhance.Brightness),
]
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif("not torch.cuda.is_available()"))]


def picture(channels: int = 3) -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (23, 37, channels), np.uint8)


def tensor(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(array).movedim(-1, 0).float() / 255


@pytest.mark.parametrize("factor", [0.0, 0.4, 1.0, 1.1, 2.5])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("ours", "theirs"), PAIRS)
def test_equals_pillow(ours, theirs, channels: int, factor: float) -> None:
    array = picture(channels)
    expected = np.asarray(theirs(Image.fromarray(array.squeeze())).enhance(factor)).reshape(array.shape)
    result = (ours(tensor(array), factor) * 255).movedim(0, -1).numpy()
    # Pillow rounds the smoothed picture or the mean first, and then cuts the sum off
    assert np.abs(result - expected).max() <= 1 + 0.5 * abs(1 - factor)


@pytest.mark.parametrize(("ours", "_theirs"), PAIRS)
def test_identity_and_tiny_pictures(ours, _theirs) -> None:
    image = tensor(picture())
    torch.testing.assert_close(ours(image, 1.0), image)
    assert ours(image[:, :2, :1], 1.3).shape == (3, 2, 1)


@pytest.mark.parametrize("device", DEVICES)
def test_random_enhance_is_reproducible_and_keeps_metadata(device: str) -> None:
    image = MetaTensor(tensor(picture()), meta={"filename_or_obj": "a.png"}).to(device)
    transform = RandImageEnhanced(("image", "other"), prob=1.0, factor_range=(1.5, 2.0))
    data = {"image": image, "other": image.clone(), "label": torch.ones(1)}
    first = transform.set_random_state(5)(data)
    again = transform.set_random_state(5)(data)
    torch.testing.assert_close(first["image"], again["image"])
    torch.testing.assert_close(first["image"], first["other"])
    assert not torch.equal(first["image"], transform(data)["image"])
    assert not torch.equal(first["image"], image)
    assert first["image"].meta["filename_or_obj"] == "a.png"
    assert first["image"].device == image.device
    assert first["label"] is data["label"]
    assert 0 <= first["image"].min() <= first["image"].max() <= 1


def test_every_order_and_subset_occurs() -> None:
    transform = RandImageEnhanced("image").set_random_state(0)
    seen = set()
    unchanged = 0
    for _ in range(600):
        transform.randomize(None)
        steps = transform._steps
        seen.add(tuple(index for index, _ in steps))
        unchanged += not steps
        assert all(1.0 <= factor <= 1.1 for _, factor in steps)
    assert len(seen) == 1 + 3 + 6 + 6
    assert 0.08 < unchanged / 600 < 0.18


def test_never_and_numpy() -> None:
    array = picture().transpose(2, 0, 1).astype(np.float32) / 255
    assert RandImageEnhanced("image", prob=0.0)({"image": array})["image"] is array
    result = RandImageEnhanced("image", prob=1.0, factor_range=(0.5, 0.5))({"image": array})["image"]
    assert isinstance(result, np.ndarray)
    assert not np.array_equal(result, array)


def test_bad_range() -> None:
    with pytest.raises(ValueError, match="factor_range"):
        RandImageEnhanced("image", factor_range=(1.2, 1.0))
