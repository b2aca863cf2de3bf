import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import Compose, Invertd, Resized

from medseg.transforms import ChannelMixd, ClusterColord


def test_mix_is_a_weighted_mean_with_meta_data():
    image = MetaTensor(torch.rand(3, 4, 5), meta={"filename_or_obj": "a.png"})
    out = ChannelMixd("image", [1, 0, 3])({"image": image})["image"]
    torch.testing.assert_close(torch.as_tensor(out), torch.as_tensor(0.25 * image[:1] + 0.75 * image[2:]))
    assert out.meta["filename_or_obj"] == "a.png"
    image[1] = float("nan")
    assert torch.isfinite(ChannelMixd("image", [1, 0, 3])({"image": image})["image"]).all()


@pytest.mark.parametrize("weights", [[0, 0, 0], [1, -1, 1]])
def test_bad_weights(weights):
    with pytest.raises(ValueError, match="weights"):
        ChannelMixd("image", weights)


def test_wrong_number_of_channels():
    with pytest.raises(ValueError, match="2 channels"):
        ChannelMixd("image", [1, 1, 1])({"image": torch.rand(2, 3, 3)})


def test_order_of_channels():
    image = torch.rand(3, 2, 4)
    order = ChannelMixd("image", [[0, 0, 1], [1, 0, 0], [0, 1, 0]])
    assert torch.equal(order({"image": image})["image"], torch.stack([image[2], image[0], image[1]]))
    with pytest.raises(ValueError, match="weights"):
        ChannelMixd("image", [[1, 0, 0], [0, 0, 0]])
    with pytest.raises(ValueError, match="2 channels"):
        order({"image": image[:2]})


def test_mixed_channels_are_inverted_with_the_image():
    steps = Compose([Resized("image", spatial_size=(8, 10)), ChannelMixd("image", [1, 0, 3])])
    data = steps({"image": MetaTensor(torch.rand(3, 4, 5))})
    data["pred"] = data["image"].clone()
    assert Invertd("pred", transform=steps, orig_keys="image")(data)["pred"].shape == (1, 4, 5)


def test_every_label_has_its_own_color():
    labels = torch.arange(100).view(1, 10, 10).float()
    colors = ClusterColord("pred")({"pred": labels})["pred"]
    assert colors.shape == (3, 10, 10)
    assert colors.min() >= 0
    assert colors.max() <= 255
    assert len({tuple(c) for c in colors.flatten(1).T.round().int().tolist()}) == 100
    again = ClusterColord("pred")({"pred": labels[:, :2]})["pred"]
    assert torch.equal(again, colors[:, :2])
