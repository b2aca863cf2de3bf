import numpy as np
import pytest
import torch
from monai.data import MetaTensor

from medseg.transforms import ClusterToMaskd
from medseg.transforms.mask_strategies import cluster_means, lesion_mask, lung_mask

HEIGHT, WIDTH = 60, 80


def block(rows: slice, columns: slice) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[rows, columns] = True
    return mask


LESION = block(slice(18, 44), slice(25, 60))
CORE = block(slice(24, 36), slice(32, 50))


def dermoscopy() -> tuple[np.ndarray, np.ndarray]:
    """Clusters and image of a lesion with a darker core and a hole of skin's cluster, a hair and dark corners."""
    labels = np.full((HEIGHT, WIDTH), 7)
    labels[:, 40:] = 9  # two clusters of skin
    labels[LESION] = 2
    labels[CORE] = 5
    labels[30:32, 40:43] = 7
    labels[5, 3:70] = 5  # a hair
    labels[:6, :6] = labels[-6:, -6:] = 5
    blue = {7: 0.8, 9: 0.75, 2: 0.4, 5: 0.2}
    image = np.stack([np.full((HEIGHT, WIDTH), 0.9), *[np.vectorize(blue.get)(labels)] * 2]).astype(float)
    return labels, image


def is_lesion(mask: np.ndarray) -> bool:
    """The opening takes the four corner pixels."""
    return not (mask & ~LESION).any() and (LESION & ~mask).sum() <= 4


def test_lesion_joins_its_clusters_without_hair_frame_and_holes():
    assert is_lesion(lesion_mask(*dermoscopy()))


def test_lesion_of_a_gray_image_and_of_several_candidates():
    labels, image = dermoscopy()
    labels[50:57, 5:14] = 2
    image[:, 50:57, 5:14] = 0.4
    assert is_lesion(lesion_mask(labels, image[2:]))


@pytest.mark.parametrize("turns", range(4))
def test_of_two_candidates_the_central_one_is_the_lesion(turns: int):
    """The other one is larger and as dark, so that its pixels would decide if nearness did not."""
    central, lateral = block(slice(24, 38), slice(32, 48)), block(slice(8, 52), slice(1, 12))
    labels = np.where(central | lateral, 1, 0)
    image = np.where(central | lateral, 0.3, 0.8)[None]
    assert lateral.sum() > 2 * central.sum()
    found = lesion_mask(np.rot90(labels, turns), np.rot90(image, turns, axes=(1, 2)))
    truth = np.rot90(central, turns)
    assert found.any()
    assert not (found & ~truth).any()


@pytest.mark.parametrize("image", [np.full((3, 9, 12), 0.4), np.zeros((1, 1, 1)), np.full((1, 30, 20), 1.0)])
def test_nothing_stands_out(image):
    labels = np.zeros(image.shape[1:], int)
    assert not lesion_mask(labels, image).any()
    assert not lung_mask(labels, image).any()


def test_limits_of_a_lesion():
    assert not lesion_mask(*dermoscopy(), area_limits=(0.5, 1.0)).any()
    assert not lesion_mask(*dermoscopy(), min_contrast=0.7).any()
    labels = np.ones((HEIGHT, WIDTH), int)
    labels[:, 10:] = 0
    image = np.where(labels == 0, 0.2, 0.8)[None]
    assert not lesion_mask(labels, image, max_border=0.5, view_radius=2).any()
    assert lesion_mask(labels, image, max_border=1.0, view_radius=2).any()


LEFT, RIGHT = block(slice(15, 45), slice(12, 30)), block(slice(12, 48), slice(45, 66))


def chest() -> tuple[np.ndarray, np.ndarray]:
    """Air outside, a body, two lungs of two clusters with a vessel, and a trachea."""
    image = np.full((HEIGHT, WIDTH), 0.5)
    image[[0, 1, -1]] = image[:, :4] = image[:, -3:] = 0.0
    image[LEFT | RIGHT] = 0.03
    image[20:40, 50:60] = 0.08
    image[25:27, 18:21] = 0.45  # a vessel
    image[8:11, 35:39] = 0.01  # the trachea
    return np.digitize(image, [0.02, 0.05, 0.1, 0.47]), image[None]


def test_lungs_are_filled_and_neither_outside_nor_trachea():
    assert np.array_equal(lung_mask(*chest(), closing_radius=0.0), LEFT | RIGHT)
    assert (lung_mask(*chest()) ^ (LEFT | RIGHT)).sum() < 20


def test_lungs_number_of_parts():
    labels, image = chest()
    assert np.array_equal(lung_mask(labels, image, max_parts=1, closing_radius=0.0), RIGHT)
    more = lung_mask(labels, image, max_parts=3, min_share=0.0, closing_radius=0.0)
    assert more[8:11, 35:39].all()


def test_two_dark_clusters_of_almost_the_same_brightness_stay_together():
    labels, image = dermoscopy()
    image[:, labels == 5] = 0.375  # within one of 256 equal bins of the other dark cluster's 0.4, counted up to 0.8
    image[:, labels == 2] = 0.3767
    assert is_lesion(lesion_mask(labels, image))


def test_cluster_means():
    labels, values = np.array([[3, 3, 8]]), np.array([[1.0, 2.0, 5.0]])
    assert cluster_means(labels, values).tolist() == [[1.5, 1.5, 5.0]]


def made(clusters: torch.Tensor, image: torch.Tensor, strategy, **arguments) -> torch.Tensor:
    return ClusterToMaskd("pred", strategy, **arguments)({"pred": clusters, "image": image})["pred"]


def test_transform_takes_scores_or_labels_and_keeps_meta_data():
    labels, image = dermoscopy()
    scores = torch.nn.functional.one_hot(torch.from_numpy(labels)).permute(2, 0, 1).float()
    meta = {"filename_or_obj": "x.png"}
    picture = torch.from_numpy(image)
    for clusters in (scores, torch.from_numpy(labels)[None].float()):
        data = {"pred": MetaTensor(clusters, meta=meta), "image": picture}
        mask = ClusterToMaskd("pred", strategy="lesion")(data)["pred"]
        assert mask.shape == (1, HEIGHT, WIDTH)
        assert mask.dtype == torch.float32
        assert mask.meta["filename_or_obj"] == "x.png"
        assert is_lesion(mask[0].numpy() > 0)


def test_transform_with_own_strategy_and_options():
    mask = made(torch.ones(1, 2, 3), torch.ones(2, 3)[None], np.not_equal)
    assert not mask.any()
    assert ClusterToMaskd("pred", "lungs", options={"max_parts": 1}).options == {"max_parts": 1}


def test_volume_slice_by_slice():
    labels, image = chest()
    clusters = torch.from_numpy(np.stack([labels, np.ones_like(labels)], -1))[None]
    volume = torch.from_numpy(np.stack([image, np.ones_like(image)], -1))
    mask = made(clusters, volume, "lungs", options={"closing_radius": 0.0})
    assert np.array_equal(mask[0, ..., 0] > 0, LEFT | RIGHT)
    assert not mask[0, ..., 1].any()


def test_not_finite_image_gives_an_empty_mask(caplog):
    labels, image = dermoscopy()
    image[0, 0, 0] = np.nan
    assert not made(torch.from_numpy(labels)[None], torch.from_numpy(image), "lesion").any()
    assert "empty" in caplog.text


def test_refusals():
    with pytest.raises(ValueError, match="choose one of lesion, lungs"):
        ClusterToMaskd("pred", "liver")
    with pytest.raises(ValueError, match="one size"):
        made(torch.zeros(1, 4, 5), torch.zeros(3, 5, 4), "lesion")
