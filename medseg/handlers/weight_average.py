"""The moving average of a network's weights."""

from copy import deepcopy

from ignite.engine import Engine
from ignite.handlers import EMAHandler
from torch import nn


def copy_for_average(network: nn.Module) -> nn.Module:
    """A copy of `network` on its device, in evaluation mode, that no optimizer trains.

    Args:
        network: the network; `DistributedDataParallel` around it is left out.
    """
    return deepcopy(getattr(network, "module", network)).eval().requires_grad_(False)


class WeightAverage(EMAHandler):
    """Ignite's exponential moving average of a network's weights, which forgets its first steps faster.

    After step n, `average = d * average + (1 - d) * network` with `d = min(decay, n / (n + 9))`, for the running
    statistics of batch norms too. So the average follows the network closely at first: a short run is not left with
    the weights that it started from, and weights that a `CheckpointLoader` loads at the start replace them.

    The average is a network that the caller made, so that the validator and the savers can have it too; put it into
    the `save_dict` of the checkpoint to resume from. The warm-up is the usual one of TensorFlow's
    `ExponentialMovingAverage`.

    Args:
        network: the network that is trained; `DistributedDataParallel` around it is looked through.
        average: where the average goes, see `copy_for_average`.
        decay: weight of the average so far, over 0 and below 1; the average reaches over about `1 / (1 - decay)`
            steps.

    Raises:
        ValueError: when `decay` is out of range.
    """

    def __init__(self, network: nn.Module, average: nn.Module, decay: float) -> None:
        super().__init__(network, momentum=1 - decay, handle_buffers="update")
        self.ema_model = average

    def _update_ema_model(self, engine: Engine, name: str) -> None:
        setattr(engine.state, name, max(self.momentum, 9 / (9 + engine.state.iteration)))
        super()._update_ema_model(engine, name)
