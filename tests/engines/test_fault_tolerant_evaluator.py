import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ignite.engine import Events
from monai.data import MetaTensor, ThreadDataLoader
from monai.data.utils import no_collation
from monai.engines import SupervisedEvaluator
from monai.transforms import Compose, Lambdad, LoadImaged, SaveImaged, Transform
from torch import nn

from medseg.data import FaultTolerantDataset
from medseg.engines import FaultTolerantEvaluator
from medseg.errors import InputError

NAMES = ["a", "b", "c", "d", "e"]


class Load(Transform):
    """Case n is filled with n; `b` cannot be read, and `d` has another size."""

    def __call__(self, item: dict[str, str]) -> dict[str, Any]:
        name = Path(item["image"]).stem
        if name == "b":
            raise InputError(f"{item['image']} cannot be read: replace it.")
        size = 4 if name == "d" else 3
        return {
            "image": MetaTensor(
                torch.full((1, size, 2), float(NAMES.index(name))), meta={"filename_or_obj": item["image"]}
            )
        }


class Doubling(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 2 * x


class FailsAt(nn.Module):
    """Doubles, but a batch that holds the value fails."""

    def __init__(self, value: float, error: BaseException) -> None:
        super().__init__()
        self.value, self.error = value, error

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if (x == self.value).any():
            raise self.error
        return 2 * x


class Results:
    """A handler that keeps what handlers see, and may fail at one case."""

    def __init__(self, fails_at: str = "") -> None:
        self.fails_at = fails_at
        self.seen: dict[str, float] = {}
        self.events: list[str] = []

    def attach(self, engine: SupervisedEvaluator) -> None:
        engine.add_event_handler(Events.ITERATION_COMPLETED, self)
        for event in (Events.STARTED, Events.EPOCH_STARTED, Events.EPOCH_COMPLETED, Events.COMPLETED):
            engine.add_event_handler(event, self.events.append, event.name)

    def __call__(self, engine: SupervisedEvaluator) -> None:
        for batch, output in zip(engine.state.batch, engine.state.output, strict=True):
            name = Path(batch["image"].meta["filename_or_obj"]).stem
            if name == self.fails_at:
                raise ZeroDivisionError("a handler's own")
            self.seen[name] = float(output["pred"].max())


def evaluator(
    results: Results,
    names: list[str] = NAMES,
    network: nn.Module | None = None,
    post: Callable | None = None,
    batch_size: int = 1,
    load: Transform | None = None,
) -> FaultTolerantEvaluator:
    data = FaultTolerantDataset([{"image": f"/in/{name}.png"} for name in names], Compose([load or Load()]))
    return FaultTolerantEvaluator(
        device=torch.device("cpu"),
        val_data_loader=ThreadDataLoader(data, batch_size=batch_size, collate_fn=no_collation),
        network=network or Doubling(),
        postprocessing=post,
        val_handlers=[results],
    )


@pytest.mark.parametrize("batch_size", [1, 2, 3, 5])
def test_reading_and_network_failures_cost_their_own_case(batch_size: int) -> None:
    results = Results()
    engine = evaluator(results, network=FailsAt(2, RuntimeError("no")), batch_size=batch_size)
    engine.run()
    assert results.seen == {"a": 0, "d": 6, "e": 8}
    problems = {problem.case: problem for problem in engine.failures}
    assert problems.keys() == {"b", "c"}
    assert problems["b"].problem == "/in/b.png cannot be read: replace it."
    assert problems["c"].problem.startswith("/in/c.png failed (RuntimeError: no): ")
    assert "in forward" in problems["c"].details


@pytest.mark.parametrize("batch_size", [1, 4])
def test_postprocessing_failures_cost_their_own_case_and_run_once(batch_size: int) -> None:
    calls: list[float] = []

    def check(pred: torch.Tensor) -> torch.Tensor:
        calls.append(float(pred.max()))
        if pred.max() == 4:
            raise ValueError("nothing\nto see")
        return pred + 1

    results = Results()
    engine = evaluator(results, ["a", "c", "e"], post=Compose([Lambdad("pred", check)]), batch_size=batch_size)
    engine.run()
    assert results.seen == {"a": 1, "e": 9}
    assert calls == [0, 4, 8]
    assert [problem.case for problem in engine.failures] == ["c"]
    assert "failed (ValueError: nothing to see)" in engine.failures[0].problem


def test_a_handler_that_fails_costs_the_case() -> None:
    results = Results(fails_at="c")
    engine = evaluator(results, ["a", "c", "e"])
    engine.run()
    assert results.seen == {"a": 0, "e": 8}
    assert [problem.case for problem in engine.failures] == ["c"]


def test_a_handler_of_the_whole_run_may_not_fail() -> None:
    engine = evaluator(Results(), ["a"])

    @engine.on(Events.EPOCH_COMPLETED)
    def fail(_engine: SupervisedEvaluator) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        engine.run()


def test_ctrl_c_ends_the_run() -> None:
    results = Results()
    with pytest.raises(KeyboardInterrupt):
        evaluator(results, ["a", "c", "e"], network=FailsAt(2, KeyboardInterrupt())).run()
    assert results.seen == {"a": 0}


class FullDiskWriter:
    """A writer for SaveImaged on a full disk."""

    def __init__(self, **_options: Any) -> None: ...

    def set_data_array(self, data_array: Any, **_options: Any) -> None: ...

    def set_metadata(self, meta_dict: Any = None, **_options: Any) -> None: ...

    def write(self, filename: str, **_options: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", filename)


def test_a_full_disk_ends_the_run(tmp_path: Path) -> None:
    results = Results()
    save = SaveImaged("pred", output_dir=tmp_path, output_ext=".png", writer=FullDiskWriter, resample=False)
    with pytest.raises(InputError, match=r"Nothing more can be written .*No space left on device.*make room"):
        evaluator(results, ["a", "c"], post=Compose([save])).run()
    assert results.seen == {}


def test_nothing_to_do_still_sums_up() -> None:
    results = Results()
    engine = evaluator(results, [])
    engine.run()
    assert results.events == ["EPOCH_STARTED", "EPOCH_COMPLETED", "COMPLETED"]
    assert engine.failures == []


def test_a_file_that_vanished(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.ones((1, 3, 2), np.float32))
    data = FaultTolerantDataset(
        [{"image": str(tmp_path / f"{name}.npy")} for name in "ab"],
        Compose([LoadImaged("image", reader="NumpyReader")]),
    )
    assert data[0]["image"].shape == (1, 3, 2)
    assert data[1].case == "b"
    assert str(tmp_path / "b.npy") in data[1].problem


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_loader_that_ends_early_is_an_error() -> None:
    class Breaks(FaultTolerantDataset):
        def __getitem__(self, index: Any) -> Any:
            if index == 1:
                raise SystemExit
            return super().__getitem__(index)

    data = Breaks([{"image": f"/in/{name}.png"} for name in "ac"], Compose([Load()]))
    engine = FaultTolerantEvaluator(
        device=torch.device("cpu"),
        val_data_loader=ThreadDataLoader(data, batch_size=1, collate_fn=no_collation),
        network=Doubling(),
    )
    with pytest.raises(RuntimeError, match="ended after 1 of 2"):
        engine.run()
