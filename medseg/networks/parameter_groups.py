from typing import Any

from torch import nn


def parameter_groups(
    network: nn.Module, learning_rate: float, encoder_rate: float, weight_decay: float
) -> list[dict[str, Any]]:
    """Up to four groups of the trained parameters for an optimizer: encoder slower, norms and biases without decay.

    Parameters with one axis, as biases and the scales of norms have, are not decayed; neither are learned positions.

    Args:
        network: a network with an attribute `encoder`, maybe wrapped by `DistributedDataParallel`.
        learning_rate: of all but the encoder.
        encoder_rate: the encoder's learning rate over that of the others, for encoders that are pretrained.
        weight_decay: of weights with two axes or more.
    """
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            rate = learning_rate * (encoder_rate if name.removeprefix("module.").startswith("encoder.") else 1)
            decay = 0.0 if parameter.ndim == 1 or name.endswith("pos_embed") else weight_decay
            groups.setdefault((rate, decay), []).append(parameter)
    return [{"params": group, "lr": rate, "weight_decay": decay} for (rate, decay), group in groups.items()]
