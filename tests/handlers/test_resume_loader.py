"""Resuming with what is asked for now, and files that cannot be resumed from; trainers in miniature."""

import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from ignite.engine import Engine, Events
from ignite.handlers import EarlyStopping
from monai.optimizers import WarmupCosineSchedule

from medseg.errors import InputError
from medseg.handlers import AtomicCheckpointSaver, ResumeLoader, check_resume


class Run:
    """A linear network; the learning rate of each epoch is in `rates`."""

    def __init__(self, folder: Path, epochs: int, rate: float, width: int = 2, patience: int = 1000) -> None:
        self.net = torch.nn.Linear(3, width)
        self.optimizer = torch.optim.AdamW(self.net.parameters(), lr=rate, weight_decay=rate)
        schedule = WarmupCosineSchedule(self.optimizer, 2, epochs, warmup_multiplier=0.1)
        self.trainer = Engine(self.step)
        self.trainer.state.max_epochs, self.trainer.state.epoch_length = epochs, 3
        self.rates: list[float] = []
        stop = EarlyStopping(patience, lambda _engine: 0.5, self.trainer)
        self.states: dict[str, Any] = {"model": self.net, "optimizer": self.optimizer, "lr_scheduler": schedule}
        self.states |= {"trainer": self.trainer, "early_stop": stop}
        self.trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda: self.rates.append(schedule.get_last_lr()[0]))
        self.trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda: schedule.step())
        stop.attach(self.trainer, Events.EPOCH_COMPLETED, reset_engine=self.trainer)
        AtomicCheckpointSaver(str(folder), self.states, save_interval=1, last_filename="checkpoint.pt").attach(
            self.trainer
        )

    def step(self, _engine: Engine, _batch: object) -> None:
        self.optimizer.zero_grad()
        self.net(torch.ones(4, 3)).square().sum().backward()
        self.optimizer.step()

    def loader(self, folder: Path) -> ResumeLoader:
        return ResumeLoader(str(folder / "checkpoint.pt"), self.states)

    def check(self, folder: Path) -> None:
        early_stop = self.states["early_stop"]
        check_resume(self.net, folder / "checkpoint.pt", self.trainer.state.max_epochs, early_stop.patience)

    def go(self, steps: int = 3) -> list[float]:
        self.trainer.state.epoch_length = steps
        self.trainer.run(range(steps), max_epochs=self.trainer.state.max_epochs)
        return self.rates


def stop_after(run: Run, epochs: int) -> None:
    run.trainer.add_event_handler(Events.EPOCH_COMPLETED(once=epochs), lambda: run.trainer.terminate())


@pytest.mark.parametrize(("epochs", "rate", "steps"), [(7, 1e-5, 3), (4, 1e-3, 3), (3, 1e-2, 5)])
def test_schedule_is_that_of_the_new_run(
    epochs: int, rate: float, steps: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = Run(tmp_path, epochs=4, rate=1e-3)
    stop_after(first, 2)
    first.go()
    second = Run(tmp_path, epochs, rate)
    second.check(tmp_path)
    second.loader(tmp_path).attach(second.trainer)
    with caplog.at_level(logging.INFO, second.trainer.logger.name):
        second.go(steps)
    assert second.rates == Run(tmp_path, epochs, rate).go()[2:]
    assert second.optimizer.param_groups[0]["weight_decay"] == rate
    assert (second.trainer.state.epoch, second.trainer.state.iteration) == (epochs, epochs * steps)
    assert f"after epoch 2 of {epochs}, learning rate {second.rates[0]:g}." in caplog.text
    assert ("The schedule is new" in caplog.text) == ((epochs, rate) != (4, 1e-3))


def test_resumed_run_has_the_weights_of_one_that_was_not_stopped(tmp_path: Path) -> None:
    start = torch.nn.Linear(3, 2).state_dict()
    runs = [Run(tmp_path / name, 4, 1e-2) for name in ("whole", "cut")]
    for run in runs:
        run.net.load_state_dict(start)
    stop_after(runs[1], 2)
    for run in runs:
        run.go()
    resumed = Run(tmp_path / "cut", 4, 1e-2)
    resumed.loader(tmp_path / "cut").attach(resumed.trainer)
    resumed.go()
    assert torch.equal(resumed.net.weight, runs[0].net.weight)


def test_complete_and_early_stopped_runs_are_told(tmp_path: Path) -> None:
    Run(tmp_path, 3, 1e-3).go()
    for epochs in (2, 3):
        run = Run(tmp_path, epochs, 1e-3)
        with pytest.raises(InputError, match=f"has 3 epochs and the run {epochs}, so it is complete: pass --epochs"):
            run.check(tmp_path)
    stopped = Run(tmp_path, 9, 1e-3, patience=2)
    assert len(stopped.go()) == 3
    with pytest.raises(InputError, match="stopped early, after 2 validations without a better one: pass --patience"):
        stopped.check(tmp_path)
    longer = Run(tmp_path, 9, 1e-3, patience=4)
    longer.check(tmp_path)
    longer.loader(tmp_path).attach(longer.trainer)
    assert len(longer.go()) == 2  # it has waited for two validations before


def test_another_network_is_told(tmp_path: Path) -> None:
    Run(tmp_path, 3, 1e-3).go()
    run = Run(tmp_path, 5, 1e-3, width=4)
    before = run.net.weight.clone()
    for load in (lambda: run.check(tmp_path), lambda: run.loader(tmp_path)(run.trainer)):
        with pytest.raises(InputError, match=r"checkpoint.pt' do not fit this Linear.*bias \[2\] instead of \[4\]"):
            load()
    assert torch.equal(run.net.weight, before)


def bad(states: dict) -> dict[str, object]:
    return {
        "weights alone": states["model"],
        "tensor": torch.zeros(3),
        "no moments": {**states, "optimizer": {}},
        "other groups": {**states, "optimizer": {**states["optimizer"], "param_groups": []}},
        "no epochs": {**states, "trainer": {"iteration": "x", "epoch_length": 0}},
        "no schedule": {**states, "lr_scheduler": {}},
        "NaN": {**states, "model": {name: tensor * float("nan") for name, tensor in states["model"].items()}},
        "object": {**states, "model": Path("x")},
    }


@pytest.mark.parametrize("kind", [*bad({"model": {}, "optimizer": {}}), "cut", "page", "absent"])
def test_bad_checkpoints_give_one_sentence(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    Run(tmp_path, 3, 1e-3).go()
    if kind == "cut":
        path.write_bytes(path.read_bytes()[:-300])
    elif kind == "page":
        path.write_text("<!DOCTYPE html><html></html>")
    elif kind == "absent":
        path.unlink()
    else:
        torch.save(bad(torch.load(path, weights_only=True))[kind], path)
    run = Run(tmp_path, 5, 1e-3)
    with pytest.raises(InputError if kind != "absent" else FileNotFoundError) as error:
        run.loader(tmp_path)(run.trainer)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)
    assert "weights_only" not in str(error.value)
