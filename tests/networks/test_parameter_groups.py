"""Groups of parameters: rates and weight decay."""

import torch
from torch import nn

from medseg.networks import SSFormer, parameter_groups


class Wrapped(nn.Module):
    """Names as `DistributedDataParallel` has them."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module


def test_each_parameter_is_in_the_group_that_it_belongs_to() -> None:
    network = SSFormer(encoder="pvt_tiny", decoder_channels=8)
    names = {parameter: name for name, parameter in network.named_parameters()}
    for wrapped in (network, Wrapped(network)):
        groups = parameter_groups(wrapped, learning_rate=1e-3, encoder_rate=0.1, weight_decay=0.05)
        assert len(groups) == 4
        listed = [parameter for group in groups for parameter in group["params"]]
        assert len(listed) == len(names)
        assert set(listed) == names.keys()
        for group in groups:
            for parameter in group["params"]:
                name = names[parameter]
                plain = name.endswith(".bias") or "norm" in name or "pos_embed" in name or parameter.ndim == 1
                assert group["weight_decay"] == (0 if plain else 0.05), name
                assert group["lr"] == (1e-4 if name.startswith("encoder.") else 1e-3), name
    torch.optim.AdamW(groups)


def test_what_is_frozen_is_left_out_and_equal_rates_are_one_group() -> None:
    network = SSFormer(encoder="efficientnet_lite0", decoder_channels=8)
    network.encoder.requires_grad_(False)
    groups = parameter_groups(network, learning_rate=1e-3, encoder_rate=1.0, weight_decay=0.01)
    assert sum(len(group["params"]) for group in groups) == len(list(network.decoder.parameters()))
    assert len(groups) == 2
