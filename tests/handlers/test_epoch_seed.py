"""The numbers of an epoch do not depend on the epochs before it."""

import random
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from ignite.engine import Engine, Events
from monai.data import CacheDataset, ThreadDataLoader
from monai.transforms import Compose, OneOf, RandFlipd, RandGaussianNoised, RandShiftIntensityd
from monai.utils import set_determinism

from medseg.handlers import EpochSeed


def drawn(seed: int | None, first: int, epochs: int, workers: int = 0) -> dict[int, list[torch.Tensor]]:
    """All that random numbers decide in each epoch of a run that begins after epoch `first`."""
    noise = [RandGaussianNoised("image", prob=1.0), RandShiftIntensityd("image", offsets=1.0, prob=1.0)]
    transform = Compose([RandFlipd("image", prob=0.5), OneOf(noise)])
    items = [{"image": torch.arange(4.0)[None] + 10 * index} for index in range(6)]
    dataset = CacheDataset(items, transform, cache_rate=0.5, progress=False)
    loader = ThreadDataLoader(dataset, batch_size=2, shuffle=True, num_workers=workers)
    found: dict[int, list[torch.Tensor]] = {epoch: [] for epoch in range(first + 1, epochs + 1)}

    def step(engine: Engine, batch: dict) -> None:
        others = torch.tensor([random.random(), np.random.rand(), float(torch.rand(()))])
        found[engine.state.epoch] += [batch["image"].as_tensor(), others]

    engine = Engine(step)
    EpochSeed(dataset, seed).attach(engine)
    engine.load_state_dict({"epoch": first, "max_epochs": epochs, "epoch_length": len(loader)})
    engine.add_event_handler(Events.EPOCH_COMPLETED, lambda: torch.rand(engine.state.epoch))
    engine.run(loader)
    return found


@pytest.fixture(autouse=True)
def _undo() -> Iterator[None]:
    yield
    set_determinism(None)


def equal(one: list[torch.Tensor], other: list[torch.Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("workers", [0, 2])
def test_epochs_are_the_same_after_resuming(workers: int) -> None:
    whole, resumed = drawn(5, 0, 3, workers), drawn(5, 2, 3, workers)
    assert equal(whole[3], resumed[3])
    assert not equal(whole[2], whole[3])
    assert not equal(drawn(6, 2, 3, workers)[3], whole[3])


def test_without_a_seed_nothing_is_seeded() -> None:
    assert not equal(drawn(None, 2, 3)[3], drawn(None, 2, 3)[3])
