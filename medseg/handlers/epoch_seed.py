"""Random numbers that depend on the seed and the epoch alone."""

from typing import Any

import ignite.distributed as idist
import numpy as np
from ignite.engine import Engine, Events
from monai.data.utils import set_rnd
from monai.utils import set_determinism
from torch.utils.data import Dataset


class EpochSeed:
    """Seed all random numbers anew at the start of each epoch.

    A run that is resumed after epoch n then draws the same numbers from epoch n + 1 on as one that was never stopped,
    and a checkpoint needs no random states. Seeded are Python, NumPy and PyTorch (dropout, order of the data, loader
    processes) and the random transforms of the dataset. Each process of a distributed run has its own numbers.

    Args:
        dataset: the dataset that the trainer's loader reads.
        seed: seed of the run, 0 or more; None leaves everything random.
    """

    def __init__(self, dataset: Dataset[Any], seed: int | None) -> None:
        self.dataset = dataset
        self.seed = seed

    def attach(self, engine: Engine) -> None:
        """Register with a trainer; the iterator of its loader starts after this event."""
        if self.seed is not None:
            engine.add_event_handler(Events.EPOCH_STARTED, self)

    def __call__(self, engine: Engine) -> None:
        """Seed everything for the epoch that starts."""
        entropy = [int(self.seed or 0), engine.state.epoch, idist.get_rank()]
        seed = int(np.random.SeedSequence(entropy).generate_state(1)[0])
        set_determinism(seed)
        set_rnd(self.dataset, seed)
