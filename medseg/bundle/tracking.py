"""What MONAI's experiment tracking does not record: parameters, weights, and how the run ended."""

import os
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import monai
import torch
from monai.bundle import ConfigParser
from monai.handlers import MLFlowHandler

from medseg import __version__

_LONGEST_VALUE = 500  # characters of a parameter that every tracking server takes


def track_run(
    handlers: Iterable[Any],
    artifacts: Sequence[str | os.PathLike[str]] = (),
    joined: Iterable[Any] = (),
    parameters: Mapping[str, Any] | None = None,
) -> None:
    """Complete the tracking that `--tracking mlflow` of `monai.bundle run` adds to an engine; else do nothing.

    MONAI appends an `MLFlowHandler` with its default settings to lists of handlers. The one in `handlers` is changed
    to

    - log the plain values of the resolved config, command line included, and the versions of medseg, MONAI and PyTorch;
    - log the loss also of a trainer that does not decollate its batches;
    - keep `artifacts` with the run when it ends;
    - write into a new run: without a `run_name` MONAI continues any run that has not ended;
    - end the run as finished, also in evaluation, or as failed or killed when an exception ends the program.

    Call it before the engine is built: an engine attaches its handlers once.

    Args:
        handlers: handlers of the engine whose run is tracked.
        artifacts: files to keep; those that do not exist at the end are left out. `save_execute_config`, which MONAI
            sets to the path of the resolved config, may also be the text "FOLDER + '/FILE'" that MONAI makes of it
            where `output_dir` is a plain path.
        joined: handlers of another engine that logs into the same run, such as the trainer's validator.
        parameters: further parameters to log, such as those that are read from the checkpoint.
    """
    tracker = next((handler for handler in handlers if isinstance(handler, MLFlowHandler)), None)
    if tracker is None:
        return
    files = [_path(artifact) for artifact in (*tracker.artifacts, *artifacts) if isinstance(artifact, str | Path)]
    config = next((path for path in files if path.suffix == ".json" and path.is_file()), None)
    name = tracker.run_name or time.strftime(f"run_%Y%m%d_%H%M%S_{os.getpid()}")
    tracker.artifacts = tuple(map(str, files))
    tracker.experiment_param = _parameters(config, parameters or {})
    tracker.close_on_complete = True
    tracker.output_transform = lambda output: (output if isinstance(output, Mapping) else output[0])["loss"]
    for handler in (tracker, *joined):
        if isinstance(handler, MLFlowHandler):
            handler.run_name = name
    _end_with_the_program(tracker)


def _path(artifact: str | os.PathLike[str]) -> Path:
    folder, joint, name = str(artifact).partition(" + '/")
    return Path(folder, name.removesuffix("'")) if joint else Path(artifact)


def _parameters(config: Path | None, more: Mapping[str, Any]) -> dict[str, str]:
    """Versions, and the top-level values of a config that hold neither components nor expressions."""
    found = {"medseg_version": __version__, "monai_version": monai.__version__, "torch_version": torch.__version__}
    values = ConfigParser.load_config_file(config) if config else {}
    metadata = values.get("_meta_", {})
    found |= {f"bundle_{key}": metadata[key] for key in ("name", "version") if key in metadata}
    found |= {key: value for key, value in values.items() if not key.startswith("_") and _is_plain(value)}
    return {key: str(value)[:_LONGEST_VALUE] for key, value in {**found, **more}.items()}


def _is_plain(value: Any) -> bool:
    if isinstance(value, dict):
        return "_target_" not in value and all(map(_is_plain, value.values()))
    if isinstance(value, list):
        return all(map(_is_plain, value))
    return not (isinstance(value, str) and value.startswith(("$", "@", "%")))


def _end_with_the_program(tracker: MLFlowHandler) -> None:
    """End the run also when an exception ends the program; MONAI ends it on success only."""
    previous = sys.excepthook

    def end(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
        if tracker.cur_run:
            status = "KILLED" if issubclass(kind, KeyboardInterrupt) else "FAILED"
            tracker.client.set_terminated(tracker.cur_run.info.run_id, status)
        previous(kind, error, traceback)

    sys.excepthook = end
