import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.data import MetaTensor
from monai.inferers import SlidingWindowInferer
from torch import nn

from medseg.inferers import ContextSliceInferer


class Seen(nn.Module):
    """Convolves the channels it sees to two maps, and keeps the greatest batch."""

    def __init__(self, context_slices: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(context_slices, 2, 3, padding=1)
        self.largest = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.largest = max(self.largest, len(x))
        return self.conv(x)


def by_hand(volume: torch.Tensor, network: nn.Module, context_slices: int, windows: SlidingWindowInferer):
    """Slice after slice, its neighbors one after the other."""
    depth, reach = volume.shape[-1], context_slices // 2
    results = []
    for z in range(depth):
        neighbors = [volume[0, 0, :, :, min(max(z + k, 0), depth - 1)] for k in range(-reach, reach + 1)]
        results.append(windows(torch.stack(neighbors)[None], network))
    return torch.stack(results, dim=-1)


@settings(deadline=None, max_examples=12)
@given(
    context_slices=st.sampled_from([1, 3, 5]),
    depth=st.integers(1, 7),
    sw_batch_size=st.integers(1, 4),
    roi_size=st.sampled_from([(16, 16), (11, 20), (40, 33)]),
)
@torch.no_grad()
def test_every_slice_sees_its_neighbors(
    context_slices: int, depth: int, sw_batch_size: int, roi_size: tuple[int, int]
) -> None:
    torch.manual_seed(depth)
    volume, network = torch.randn(1, 1, 24, 29, depth), Seen(context_slices)
    blend = {"overlap": 0.25, "mode": "gaussian"}
    expected = by_hand(volume, network, context_slices, SlidingWindowInferer(roi_size, 1, **blend))
    network.largest = 0
    result = ContextSliceInferer(roi_size, context_slices, sw_batch_size, **blend)(volume, network)
    torch.testing.assert_close(result, expected, atol=1e-5, rtol=1e-5)
    assert network.largest <= sw_batch_size


@torch.no_grad()
def test_volumes_of_a_batch_are_apart_and_keep_their_meta_data() -> None:
    volumes, network = torch.randn(2, 1, 12, 15, 4), Seen(3)
    inferer = ContextSliceInferer((12, 15), context_slices=3, sw_batch_size=3)
    affine = torch.diag(torch.tensor([2.0, 3.0, 4.0, 1.0]))
    result = inferer(MetaTensor(volumes, affine=affine), network)
    assert isinstance(result, MetaTensor)
    assert torch.equal(result.affine, affine.to(result.affine))
    for index in range(2):
        torch.testing.assert_close(result[index].as_tensor(), inferer(volumes[index : index + 1], network)[0])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_network_on_the_gpu_and_volume_off_it() -> None:
    volume, network = torch.rand(1, 1, 16, 16, 5), Seen(3)
    expected = ContextSliceInferer((16, 16), context_slices=3)(volume, network)
    result = ContextSliceInferer((16, 16), context_slices=3, sw_device="cuda", device="cpu")(volume, network.cuda())
    assert result.device.type == "cpu"
    torch.testing.assert_close(result, expected, atol=1e-3, rtol=1e-3)


def test_bad_arguments() -> None:
    for context_slices in (0, 2, -1):
        with pytest.raises(ValueError, match="odd"):
            ContextSliceInferer((8, 8), context_slices)
    inferer = ContextSliceInferer((8, 8))
    for shape in ((1, 1, 8, 8), (1, 2, 8, 8, 3), (1, 1, 8, 8, 0)):
        with pytest.raises(ValueError, match=r"\[B, 1, H, W, D\]"):
            inferer(torch.zeros(shape), nn.Identity())
