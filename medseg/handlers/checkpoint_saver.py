"""MONAI's checkpoint saver, for runs that may be killed and resumed."""

import copy
import math
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

import ignite.distributed as idist
import numpy as np
import torch
from ignite.engine import Engine
from ignite.handlers import Checkpoint, DiskSaver
from monai.data import MetaTensor
from monai.handlers import CheckpointSaver

from medseg import __version__
from medseg.files import atomic_write


class AtomicCheckpointSaver(CheckpointSaver):
    """MONAI's checkpoint saver for runs that may be killed at any moment and resumed (`ResumeLoader`).

    - A file appears whole or not at all, and the one it replaces goes only after that.
    - Every file loads with `torch.load(weights_only=True)`: numpy numbers and arrays and MetaTensors become plain ones.
      A `save_dict` of one item gives a file that is that item's `state_dict`.
    - The saver of the best model has a `state_dict`, its best score: put it into the `save_dict` of the saver of the
      last state, which is attached after the `ValidationHandler`.
    - A key metric that is NaN is the worst score; with MONAI's a NaN in the first epoch is never beaten.

    In a distributed run rank 0 alone writes, networks wrapped by `DistributedDataParallel` unwrapped.

    Args:
        save_dir: folder of the checkpoints.
        save_dict: names and objects with a `state_dict`.
        last_filename: fixed name of the checkpoint of every `save_interval` epochs; excludes `n_saved`.
        facts: plain Python values by name, which every file that is a `state_dict` itself carries as an attribute, with
            the version of medseg and the score that it was kept for; `medseg.networks.checkpoints.read_facts` reads it.
        kwargs: every other argument of :py:class:`monai.handlers.CheckpointSaver`.

    Raises:
        ValueError: when `last_filename` comes without `save_interval` or together with `n_saved`.
    """

    def __init__(
        self,
        save_dir: str,
        save_dict: dict[str, Any],
        last_filename: str | None = None,
        facts: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        if last_filename is not None and (kwargs.get("save_interval", 0) < 1 or kwargs.get("n_saved")):
            raise ValueError(f"last_filename={last_filename!r} needs save_interval >= 1 and no n_saved.")
        super().__init__(save_dir, save_dict, **kwargs)
        fixed_names = (
            (self._final_checkpoint, self._final_filename),
            (self._key_metric_checkpoint, kwargs.get("key_metric_filename")),
            (self._interval_checkpoint, last_filename),
        )
        for checkpoint, filename in fixed_names:
            if checkpoint is not None:
                checkpoint.save_handler = _AtomicDiskSaver(save_dir, filename, facts)
        if self._key_metric_checkpoint is not None:
            score_function = self._key_metric_checkpoint.score_function
            assert score_function is not None  # set by MONAI
            self._key_metric_checkpoint.score_function = _NumberOrWorst(score_function)

    def _best(self) -> Checkpoint:
        if self._key_metric_checkpoint is None:
            raise ValueError("This saver keeps no best model to remember: give it save_key_metric=True.")
        return self._key_metric_checkpoint

    def state_dict(self) -> dict[str, Any]:
        """The best scores so far and their files; a `ValueError` if this saver keeps no best model."""
        return dict(self._best().state_dict())

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from the best scores of an earlier run: only a better model replaces its best file."""
        self._best().load_state_dict(state_dict)


class _NumberOrWorst:
    """The score as a Python number, minus infinity in place of NaN."""

    def __init__(self, score_function: Callable[[Engine], Any]) -> None:
        self.score_function = score_function

    def __call__(self, engine: Engine) -> float:
        score = float(self.score_function(engine))
        return -math.inf if math.isnan(score) else score


class _AtomicDiskSaver(DiskSaver):
    """Write through a temporary file, then remove what is out of date.

    Args:
        dirname: folder of the files.
        filename: one fixed name in place of the names that Ignite makes up.
        facts: what a state dict says of itself; None for nothing.
    """

    def __init__(self, dirname: str, filename: str | None, facts: Mapping[str, Any] | None = None) -> None:
        super().__init__(dirname, create_dir=True, require_empty=False)
        self.facts = facts
        self.filename = filename
        self._outdated: list[str] = []

    def __call__(self, checkpoint: Mapping[str, Any], filename: str, metadata: Mapping[str, Any] | None = None) -> None:
        """Write the checkpoint; on other ranks than `save_on_rank`, do nothing."""
        if idist.get_rank() != self.save_on_rank:
            return
        path = self.dirname / (self.filename or filename)
        plain = _plain(checkpoint)
        if self.facts is not None and isinstance(plain, OrderedDict):  # Ignite hands over one item as it is
            facts = {**self.facts, "medseg": __version__}
            if metadata and metadata.get("score_name"):  # without one the priority is the number of the step
                facts["score"] = metadata["priority"]
            plain.medseg = _plain(facts)  # type: ignore[attr-defined]
        with atomic_write(path) as temporary:
            torch.save(plain, temporary)
        for name in set(self._outdated) - {path.name}:
            (self.dirname / name).unlink(missing_ok=True)
        self._outdated.clear()

    def remove(self, filename: str) -> None:
        """Note the file as out of date."""
        # Ignite asks for this before it hands over the new checkpoint: a kill in between would leave no file
        self._outdated.append(self.filename or filename)


def _plain(state: Any) -> Any:
    """The same state without types that `torch.load(weights_only=True)` refuses."""
    if isinstance(state, MetaTensor):
        return state.as_tensor()
    if isinstance(state, np.generic):
        return state.item()
    if isinstance(state, np.ndarray):
        return torch.from_numpy(state)
    if isinstance(state, dict):
        plain = copy.copy(state)  # keeps the type and the version notes of a module's state_dict
        for key, value in state.items():
            plain[key] = _plain(value)
        return plain
    if isinstance(state, list | tuple):
        return [_plain(value) for value in state] if isinstance(state, list) else tuple(map(_plain, state))
    return state
