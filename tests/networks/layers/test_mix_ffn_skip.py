import pytest
import torch
import torch.nn.functional as F

from medseg.networks.layers.feed_forward import MixFFNSkip


@pytest.mark.parametrize("shape", [(2, 7, 4, 5), (1, 1, 1, 5), (1, 1, 6, 5), (2, 5, 1, 5)])
def test_equals_the_formula_written_out(shape: tuple[int, ...]) -> None:
    layer = MixFFNSkip(5, 12).double()
    x = torch.randn(shape, dtype=torch.float64)
    hidden = F.linear(x, layer.fc1.weight, layer.fc1.bias)
    padded = F.pad(hidden, (0, 0, 1, 1, 1, 1))
    height, width = shape[1:3]
    for i in range(9):
        dy, dx = i // 3, i % 3
        hidden = hidden + padded[:, dy : dy + height, dx : dx + width] * layer.dwconv.weight[:, 0, dy, dx]
    hidden = F.layer_norm(hidden + layer.dwconv.bias, (12,), layer.norm.weight, layer.norm.bias)
    expected = F.linear(0.5 * hidden * (1 + torch.erf(hidden / 2**0.5)), layer.fc2.weight, layer.fc2.bias)
    torch.testing.assert_close(layer(x), expected)
