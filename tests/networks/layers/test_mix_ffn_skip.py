import pytest
import torch
import torch.nn.functional as F

from medseg.networks.layers import mix_ffn_skip
from medseg.networks.layers.mix_ffn_skip import MixFFNSkip


def whole_maps(layer: MixFFNSkip, x: torch.Tensor) -> torch.Tensor:
    """The layer written plainly, from PyTorch's own parts."""
    hidden = F.linear(x, layer.fc1.weight, layer.fc1.bias)
    hidden = layer.dwconv(hidden.permute(0, 3, 1, 2)).permute(0, 2, 3, 1) + hidden
    hidden = F.layer_norm(hidden, hidden.shape[-1:], layer.norm.weight, layer.norm.bias)
    return F.linear(F.gelu(hidden), layer.fc2.weight, layer.fc2.bias)


@pytest.mark.parametrize("rows_per_tile", [1, 2, 3, 100])
def test_tiles_equal_whole_maps_forward_and_backward(monkeypatch, rows_per_tile):
    torch.manual_seed(0)
    layer = MixFFNSkip(5, 12).double()
    x = torch.randn(2, 7, 4, 5, dtype=torch.float64, requires_grad=True)
    monkeypatch.setattr(mix_ffn_skip, "_TILE_FLOATS", rows_per_tile * 4 * 12)
    weight = torch.randn_like(x)
    inputs = [x, *layer.parameters()]
    expected, ours = whole_maps(layer, x), layer(x)
    torch.testing.assert_close(ours, expected)
    for got, want in zip(
        torch.autograd.grad((ours * weight).sum(), inputs),
        torch.autograd.grad((expected * weight).sum(), inputs),
        strict=True,
    ):
        torch.testing.assert_close(got, want)


@pytest.mark.parametrize("shape", [(1, 1, 1, 5), (1, 1, 6, 5), (2, 5, 1, 5)])
def test_narrow_maps(shape):
    layer = MixFFNSkip(5, 8)
    x = torch.randn(shape)
    torch.testing.assert_close(layer(x), whole_maps(layer, x))
