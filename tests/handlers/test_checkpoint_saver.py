import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import ignite.distributed as idist
import numpy as np
import pytest
import torch
from ignite.engine import Engine, Events
from monai.data import MetaTensor
from monai.handlers import CheckpointLoader
from monai.networks.utils import copy_model_state
from monai.optimizers import WarmupCosineSchedule

import medseg
from medseg.handlers import AtomicCheckpointSaver
from medseg.networks.checkpoints import read_facts

REPO = Path(__file__).parents[2]


class Run:
    """A training run in miniature: the epoch number is written into the weights, scores are given."""

    def __init__(self, folder: Path, scores: Sequence[float], wrap: bool = False) -> None:
        self.net = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
        self.optimizer = torch.optim.AdamW(self.net.parameters(), lr=1e-3)
        self.scheduler = WarmupCosineSchedule(self.optimizer, warmup_steps=2, t_total=20)
        self.evaluator = Engine(lambda _engine, _batch: None)
        self.trainer = Engine(self.step)
        saved_net = torch.nn.parallel.DistributedDataParallel(self.net) if wrap else self.net
        self.best = AtomicCheckpointSaver(
            str(folder),
            {"model": saved_net},
            save_key_metric=True,
            key_metric_name="dice",
            key_metric_filename="model.pt",
        )
        states = {
            "model": saved_net,
            "optimizer": self.optimizer,
            "lr_scheduler": self.scheduler,
            "trainer": self.trainer,
            "best": self.best,
        }
        self.states = states
        self.best.attach(self.evaluator)
        self.scores = scores
        self.trainer.add_event_handler(Events.EPOCH_COMPLETED, self.validate)
        AtomicCheckpointSaver(str(folder), states, save_interval=1, last_filename="checkpoint.pt").attach(self.trainer)

    def step(self, _engine: Engine, _batch: object) -> None:
        self.net(torch.rand(4, 3)).sum().backward()
        self.optimizer.step()
        self.scheduler.step()

    def validate(self, trainer: Engine) -> None:
        with torch.no_grad():
            self.net[0].bias.fill_(trainer.state.epoch)
        self.evaluator.state.metrics["dice"] = self.scores[trainer.state.epoch - 1]
        self.evaluator.run([0])

    def go(self, epochs: int) -> None:
        self.trainer.run([0, 1, 2], max_epochs=epochs)


def load(path: Path) -> dict:
    return torch.load(path, weights_only=True)


def epoch_of(path: Path) -> int:
    return int(load(path)["0.bias"][0])


def test_files_of_a_run(tmp_path: Path) -> None:
    run = Run(tmp_path, scores=[0.2, 0.6, 0.4])
    run.go(3)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["checkpoint.pt", "model.pt"]
    assert epoch_of(tmp_path / "model.pt") == 2
    last = load(tmp_path / "checkpoint.pt")
    assert set(last) == {"model", "optimizer", "lr_scheduler", "trainer", "best"}
    assert last["trainer"]["epoch_length"] == 3
    assert last["trainer"]["iteration"] == 9
    assert int(last["model"]["0.bias"][0]) == 3
    mode = (tmp_path / "model.pt").stat().st_mode
    assert mode & 0o777 == 0o666 & ~_umask()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


@pytest.mark.parametrize("number", [float, np.float64, np.float32, torch.tensor])
def test_resuming_keeps_the_best(tmp_path: Path, number: type) -> None:
    Run(tmp_path, scores=[number(0.2), number(0.7)]).go(2)
    resumed = Run(tmp_path, scores=[9.0, 9.0, 0.5, 0.8, 0.1])
    resumed.trainer.state.max_epochs = 5
    CheckpointLoader(str(tmp_path / "checkpoint.pt"), resumed.states).attach(resumed.trainer)
    epochs: list[tuple[int, int]] = []
    resumed.trainer.add_event_handler(
        Events.EPOCH_COMPLETED, lambda engine: epochs.append((engine.state.epoch, epoch_of(tmp_path / "model.pt")))
    )
    resumed.go(5)
    # 0.5 is below the best of the first run, 0.8 above it
    assert epochs == [(3, 2), (4, 4), (5, 4)]
    assert resumed.scheduler.last_epoch == 15


def test_a_nan_score_is_beaten_by_any_other(tmp_path: Path) -> None:
    Run(tmp_path, scores=[float("nan"), 0.1, float("nan")]).go(3)
    assert epoch_of(tmp_path / "model.pt") == 2


def test_state_survives_without_numpy_types(tmp_path: Path) -> None:
    class Stateful:
        def state_dict(self) -> dict:
            return {
                "score": np.float64(0.25),
                "nested": [np.int64(3), (np.float32(0.5), "text")],
                "array": np.arange(3),
                "image": MetaTensor(torch.ones(1, 2), meta={"filename_or_obj": "a.png"}),
            }

    engine = Engine(lambda _engine, _batch: None)
    saver = AtomicCheckpointSaver(
        str(tmp_path), {"a": Stateful(), "b": Stateful()}, save_final=True, final_filename="final.pt"
    )
    saver.attach(engine)
    engine.run([0])
    state = load(tmp_path / "final.pt")["b"]
    assert state["score"] == 0.25
    assert state["nested"] == [3, (0.5, "text")]
    assert state["array"].tolist() == [0, 1, 2]
    assert type(state["image"]) is torch.Tensor


def test_the_module_version_is_kept(tmp_path: Path) -> None:
    """Without it PyTorch takes a batch norm for one of an old release."""
    Run(tmp_path, scores=[0.2]).go(1)
    assert load(tmp_path / "model.pt")._metadata["1"]["version"] == 2


def test_wrapped_network_is_saved_unwrapped(tmp_path: Path) -> None:
    idist.initialize("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    try:
        run = Run(tmp_path / "ckpt", scores=[0.2], wrap=True)
        run.go(1)
    finally:
        idist.finalize()
    assert "0.weight" in load(tmp_path / "ckpt" / "model.pt")
    assert "0.weight" in load(tmp_path / "ckpt" / "checkpoint.pt")["model"]


def test_a_failing_save_leaves_the_old_file(tmp_path: Path) -> None:
    class Broken:
        def __reduce__(self) -> tuple:
            raise OSError("no space left on device")

    class Stateful:
        value: object = 1

        def state_dict(self) -> dict:
            return {"value": self.value}

    source, engine = Stateful(), Engine(lambda _engine, _batch: None)
    AtomicCheckpointSaver(str(tmp_path), {"a": source}, save_interval=1, last_filename="last.pt").attach(engine)
    engine.run([0])
    source.value = Broken()
    with pytest.raises(OSError, match="no space"):
        engine.run([0], max_epochs=2)
    assert load(tmp_path / "last.pt") == {"value": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["last.pt"]


def test_numbered_checkpoints_go_only_after_the_next_is_there(tmp_path: Path) -> None:
    seen: list[list[str]] = []
    net, engine = torch.nn.Linear(2, 1), Engine(lambda _engine, _batch: None)

    class Spy:
        def state_dict(self) -> dict:
            seen.append(sorted(p.name for p in tmp_path.iterdir()))
            return {}

    AtomicCheckpointSaver(str(tmp_path), {"net": net, "spy": Spy()}, save_interval=1, n_saved=1).attach(engine)
    engine.run([0], max_epochs=3)
    assert seen == [[], ["checkpoint_epoch=1.pt"], ["checkpoint_epoch=2.pt"]]
    assert [p.name for p in tmp_path.iterdir()] == ["checkpoint_epoch=3.pt"]


ENDLESS_SAVING = """
import sys, torch
from ignite.engine import Engine
import medseg
from medseg.handlers import AtomicCheckpointSaver
from medseg.networks.checkpoints import read_facts

net = torch.nn.Linear(2048, 2048)
engine = Engine(lambda _engine, _batch: None)
AtomicCheckpointSaver(sys.argv[1], {"net": net, "trainer": engine}, save_interval=1, last_filename="last.pt"
).attach(engine)
engine.run([0], max_epochs=10**9)
"""


@pytest.mark.slow
def test_killed_while_saving(tmp_path: Path) -> None:
    """The file is whole after every kill, and a left-over temporary file stops nobody."""
    killed_in_mid_write = False
    # the process does hardly anything but save, so that a few kills suffice to hit it in the middle
    for delay in (0.11, 0.23, 0.37, 0.41):
        script = [sys.executable, "-c", ENDLESS_SAVING, str(tmp_path)]
        process = subprocess.Popen(script, cwd=REPO, env={**os.environ, "PYTHONPATH": str(REPO)})
        try:
            started = (tmp_path / "last.pt").stat().st_mtime_ns if (tmp_path / "last.pt").exists() else 0
            while not ((tmp_path / "last.pt").exists() and (tmp_path / "last.pt").stat().st_mtime_ns > started):
                assert process.poll() is None
                time.sleep(0.02)
            time.sleep(delay)
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
        state = load(tmp_path / "last.pt")
        assert state["net"]["weight"].shape == (2048, 2048)
        assert state["trainer"]["iteration"] >= 1
        killed_in_mid_write |= any(tmp_path.glob(".*.tmp"))
        if killed_in_mid_write and delay > 0.2:
            break
    assert killed_in_mid_write
    assert [p.name for p in tmp_path.glob("*.pt")] == ["last.pt"]


def test_bad_arguments(tmp_path: Path) -> None:
    net = torch.nn.Linear(2, 1)
    for arguments in ({}, {"save_interval": 1, "n_saved": 2}):
        with pytest.raises(ValueError, match="needs save_interval"):
            AtomicCheckpointSaver(str(tmp_path), {"net": net}, last_filename="last.pt", **arguments)
    saver = AtomicCheckpointSaver(str(tmp_path), {"net": net}, save_interval=1)
    with pytest.raises(ValueError, match="save_key_metric=True"):
        saver.state_dict()
    with pytest.raises(ValueError, match="save_key_metric=True"):
        saver.load_state_dict({"_saved": []})


def test_weights_say_what_they_are_and_load_everywhere(tmp_path: Path) -> None:
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    facts = {"network": {"encoder": "mit_b0", "options": None}, "mean": [0.5, 0.4], "size": np.int64(64)}
    evaluator = Engine(lambda _engine, _batch: None)
    saver = AtomicCheckpointSaver(
        str(tmp_path), {"model": net}, save_final=True, final_filename="model.pt", facts=facts
    )
    saver.attach(evaluator)
    evaluator.run([0])
    path = tmp_path / "model.pt"

    assert read_facts(path) == {**facts, "size": 64, "medseg": medseg.__version__, "score": 1}
    loaded = torch.load(path, weights_only=True)
    torch.save(loaded, tmp_path / "again.pt")
    assert read_facts(tmp_path / "again.pt") == read_facts(path)
    torch.save(net.state_dict(), tmp_path / "plain.pt")
    assert read_facts(tmp_path / "plain.pt") == {}

    def empty() -> torch.nn.Module:
        other = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
        torch.nn.init.zeros_(other[0].weight)
        return other

    strict, by_monai, by_handler = empty(), empty(), empty()
    strict.load_state_dict(loaded)
    copy_model_state(by_monai, loaded)  # `python -m monai.bundle load` and ckpt_export
    engine = Engine(lambda _engine, _batch: None)
    CheckpointLoader(str(path), {"model": by_handler}).attach(engine)  # a bundle's configs and MONAI Label
    engine.run([0])
    for network in (strict, by_monai, by_handler):
        assert torch.equal(network[0].weight, net[0].weight)
