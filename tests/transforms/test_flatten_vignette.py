import numpy as np
import pytest
import torch
from monai.data import MetaTensor

from medseg.transforms.flatten_vignette import FlattenVignetted, flatten_vignette


def skin(height: int = 60, width: int = 81) -> np.ndarray:
    rng = np.random.default_rng(0)
    picture = np.array([0.8, 0.6, 0.5])[:, None, None] * np.ones((3, height, width))
    picture[:, 20:40, 30:55] *= 0.4  # a lesion
    return picture + 0.01 * rng.standard_normal(picture.shape)


def fall_off(height: int = 60, width: int = 81) -> np.ndarray:
    rows = (np.arange(height) + 0.5) / height * 2 - 1
    columns = (np.arange(width) + 0.5) / width * 2 - 1
    distance = np.hypot(rows[:, None], columns[None])
    return np.where(distance > 1.15, 0.02, 1 - 0.5 * np.clip(distance - 0.7, 0, None))


def test_undoes_a_vignette_and_fills_the_frame():
    flat = flatten_vignette(skin() * fall_off())
    assert np.abs(flat - skin()).mean() < 0.02
    assert np.abs(flat[:, :3, :3].mean((1, 2)) - [0.8, 0.6, 0.5]).max() < 0.05
    np.testing.assert_allclose(flat[:, 25:35, 35:50], (skin() * fall_off())[:, 25:35, 35:50])


def test_leaves_an_even_picture_alone():
    picture = np.full((3, 30, 41), 0.5)
    np.testing.assert_allclose(flatten_vignette(picture), picture)
    tiny = np.full((3, 1, 1), 0.3)
    np.testing.assert_allclose(flatten_vignette(tiny), tiny)


def test_keeps_meta_data_and_passes_on_what_is_not_finite():
    image = MetaTensor(torch.from_numpy(skin()).float(), meta={"filename_or_obj": "a.png"})
    out = FlattenVignetted("image")({"image": image})["image"]
    assert out.meta["filename_or_obj"] == "a.png"
    assert out.dtype == torch.float32
    image[0, 3, 4] = float("nan")
    assert FlattenVignetted("image")({"image": image})["image"].isnan().sum() == 1


@pytest.mark.parametrize("arguments", [{"inner": 2.0}, {"percentile": 120.0}, {"max_gain": 0.5}])
def test_bad_arguments(arguments):
    with pytest.raises(ValueError, match="must"):
        FlattenVignetted("image", **arguments)
