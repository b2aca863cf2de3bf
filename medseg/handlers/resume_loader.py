"""Continue a training run from its last checkpoint."""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from os import PathLike
from typing import Any

from ignite.engine import Engine
from ignite.handlers import Checkpoint
from monai.handlers import CheckpointLoader
from torch import nn

from medseg.errors import InputError
from medseg.networks.checkpoints.load import check_fit
from medseg.networks.checkpoints.read import as_state_dict, read_content


class ResumeLoader(CheckpointLoader):
    """Continue a training run from its last checkpoint, with the epochs and the learning rate that are asked for now.

    MONAI's loader also restores the length and base rate of the old schedule. Here the checkpoint gives what has been
    learned (weights, the optimizer's moments, best score, early stopping) and the number of epochs done. Learning
    rate, weight decay and schedule are those of the new run, and the schedule is advanced by the epochs done.

    Args:
        load_path: file that `AtomicCheckpointSaver` wrote.
        load_dict: its `save_dict`, with `trainer`, `optimizer` and `lr_scheduler`, which steps once an epoch.

    Raises:
        InputError: (on loading) if the file cannot be read, or is of another network or config.
    """

    def __init__(self, load_path: str, load_dict: dict[str, Any]) -> None:
        super().__init__(load_path, load_dict)

    def __call__(self, engine: Engine) -> None:
        """Load the checkpoint into the run that `engine` starts."""
        states = _read(self.load_path, self.load_dict)
        optimizer, schedule = self.load_dict["optimizer"], self.load_dict["lr_scheduler"]
        asked = [{name: value for name, value in group.items() if name != "params"} for group in optimizer.param_groups]
        epochs, steps = engine.state.max_epochs, engine.state.epoch_length
        assert steps is not None  # MONAI's trainers know it before they start
        with _fitting(self.load_path):
            old = states["trainer"]["max_epochs"], states["lr_scheduler"]["base_lrs"]
            others = {name: target for name, target in self.load_dict.items() if name != "lr_scheduler"}
            Checkpoint.load_objects(others, states)
        for group, values in zip(optimizer.param_groups, asked, strict=True):
            group.update(values)
        done = engine.state.epoch
        engine.state.max_epochs, engine.state.epoch_length = epochs, steps
        engine.state.iteration = done * steps  # another batch size has other steps
        with warnings.catch_warnings():  # that no step of the optimizer came first, but they were in the earlier run
            warnings.filterwarnings("ignore", "Detected call of `lr_scheduler.step", UserWarning)
            for _ in range(done):
                schedule.step()
        rate = ", ".join(f"{rate:g}" for rate in dict.fromkeys(schedule.get_last_lr()))
        self.logger.info(f"Resumed '{self.load_path}' after epoch {done} of {epochs}, learning rate {rate}.")
        if old != (epochs, schedule.base_lrs):
            self.logger.warning(
                f"The schedule is new: {epochs} epochs instead of {old[0]}, base learning rates {schedule.base_lrs} "
                f"instead of {old[1]}."
            )


def check_resume(network: nn.Module, checkpoint: str | PathLike[str], epochs: int, patience: int) -> None:
    """Raise an `InputError` unless a run can go on from a checkpoint and has something left to do.

    Args:
        network: of the run.
        checkpoint: file that the run's `AtomicCheckpointSaver` wrote.
        epochs: of the run, those before included.
        patience: of the run's early stopping, in validations.
    """
    states = _read(checkpoint, {"model": network, "trainer": None, "early_stop": None})
    with _fitting(checkpoint):
        done = states["trainer"]["iteration"] // states["trainer"]["epoch_length"]
        stopped = states["early_stop"]["counter"] >= patience
    if done >= epochs:
        raise InputError(
            f"'{checkpoint}' has {done} epochs and the run {epochs}, so it is complete: pass --epochs with a larger "
            "number to go on."
        )
    if stopped:
        raise InputError(
            f"'{checkpoint}' is of a run that stopped early, after {patience} validations without a better one: pass "
            "--patience with a larger number to go on."
        )


def _read(path: str | PathLike[str], targets: Mapping[str, Any]) -> Mapping[str, Any]:
    """The states of all targets by name, those of networks compared with them."""
    states = read_content(path)
    given = states if isinstance(states, Mapping) else {}
    if missing := [name for name in targets if not isinstance(given.get(name), Mapping)]:
        raise InputError(
            f"'{path}' is no checkpoint of this training config, it lacks {', '.join(missing)}: pass the "
            "checkpoint.pt that the same config wrote."
        )
    for name, target in targets.items():
        if isinstance(target, nn.Module):
            weights = as_state_dict(given[name], path)
            check_fit(getattr(target, "module", target), weights, f"the weights in '{path}'")
    return given


@contextmanager
def _fitting(path: str | PathLike[str]) -> Iterator[None]:
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        raise InputError(
            f"'{path}' does not fit this run ({type(error).__name__}): resume with the config that wrote it, or train "
            "anew."
        ) from error
