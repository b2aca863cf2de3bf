"""Initial weights of the encoders' blocks against the published formula."""

import math

import pytest
from golden import FAMILIES
from torch import nn

from medseg.networks import build_encoder


@pytest.mark.parametrize("name", FAMILIES)
def test_layers_in_blocks_start_with_the_published_spread(name: str) -> None:
    """Linear layers: 0.02. Convolutions: the root of 2 over the outputs that an input reaches in its group."""
    checked = {nn.Linear: 0, nn.Conv2d: 0}
    for key, layer in build_encoder(name).stages.named_modules():
        if ".blocks." not in key or not isinstance(layer, (nn.Linear, nn.Conv2d)):
            continue
        expected = 0.02
        if isinstance(layer, nn.Conv2d):
            outputs_per_group = layer.out_channels / layer.groups
            expected = math.sqrt(2 / (layer.kernel_size[0] * layer.kernel_size[1] * outputs_per_group))
        count = layer.weight.numel()
        # five standard errors of the standard deviation of `count` normal values
        assert layer.weight.std().item() == pytest.approx(expected, rel=5 / math.sqrt(2 * count)), key
        assert abs(layer.weight.mean().item()) < 5 * expected / math.sqrt(count), key
        assert layer.bias is None or not layer.bias.any(), key
        checked[type(layer)] += 1
    assert checked[nn.Linear] > 0
    assert checked[nn.Conv2d] > 0
