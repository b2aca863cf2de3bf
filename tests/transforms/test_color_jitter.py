"""Random color changes against the definition, in numpy."""

import numpy as np
import pytest
import torch
from monai.data import MetaTensor

from medseg.transforms import RandColorJitterd


def test_a_picture_is_changed_as_documented() -> None:
    image = np.random.default_rng(0).random((3, 9, 7)).astype(np.float32)
    jitter = RandColorJitterd("image", prob=1.0).set_random_state(seed=3)
    found = jitter({"image": torch.from_numpy(image)})["image"].numpy()

    state = np.random.RandomState(3)
    state.rand()
    b, c, s = (1 + state.uniform(-r, r) for r in (0.3, 0.3, 0.4))
    gains, gamma = np.exp(state.uniform(-0.15, 0.15, size=3)), np.exp(state.uniform(-0.2, 0.2))
    gray = np.tensordot([0.299, 0.587, 0.114], image, axes=1)
    x = gray + s * (image - gray)
    mean = x.mean(axis=(1, 2), keepdims=True)
    x = np.clip(b * gains[:, None, None] * (mean + c * (x - mean)), 0, 1) ** gamma
    np.testing.assert_allclose(found, x, atol=1e-5)


def test_nothing_changes_without_ranges_or_chance() -> None:
    image = torch.rand(3, 8, 8)
    still = RandColorJitterd("image", 1.0, brightness=0, contrast=0, saturation=0, gain=0, gamma=0)
    torch.testing.assert_close(still({"image": image})["image"], image)
    assert RandColorJitterd("image", prob=0.0)({"image": image})["image"] is image


def test_keys_share_their_changes_and_metadata_stay() -> None:
    image = MetaTensor(torch.rand(3, 8, 8), meta={"name": "a"})
    before = image.clone()
    result = RandColorJitterd(["image", "second"], prob=1.0).set_random_state(0)({"image": image, "second": image})
    assert torch.equal(result["image"], result["second"])
    assert result["image"].meta["name"] == "a"
    assert torch.equal(image, before)
    assert result["image"].min() >= 0
    assert result["image"].max() <= 1
    assert not torch.equal(result["image"], before)


@pytest.mark.parametrize("wrong", [{"brightness": 1.5}, {"contrast": -0.1}, {"gamma": -1.0}])
def test_ranges_are_checked(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must"):
        RandColorJitterd("image", **wrong)
