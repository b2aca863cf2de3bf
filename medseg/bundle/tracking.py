"""What MONAI's experiment tracking leaves out of a bundle's run: parameters, weights, a run of its own, its end."""

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

__all__ = ["track_run"]

# longest value of a parameter that every tracking server takes
_LONGEST_VALUE = 500


def track_run(
    handlers: Iterable[Any], artifacts: Sequence[str | os.PathLike[str]] = (), joined: Iterable[Any] = ()
) -> None:
    """Complete the tracking that `--tracking mlflow` of `monai.bundle run` adds to an engine; else do nothing.

    MONAI appends a `MLFlowHandler` to the lists of handlers. From here on the one in `handlers`

    - logs the plain values of the config as parameters, those of the command line included, and the versions of
      medseg, MONAI and PyTorch;
    - takes the loss also from a trainer that does not split its batches;
    - keeps `artifacts` with the run when it ends;
    - writes into a run of its own: without a `run_name` MONAI would continue any run that has not ended;
    - ends the run: as finished, or as failed if an error ends the program.

    Call it before the engine is built, because an engine asks its handlers once whether they end their run.

    Args:
        handlers: handlers of the engine whose run is tracked.
        artifacts: files to keep; one that is not there at the end is left out. A bundle's `save_execute_config`, which
            MONAI makes the path of the resolved config, is understood also in the form that MONAI gives it where
            `output_dir` is a plain path: "FOLDER + '/FILE'".
        joined: handlers of another engine that logs into the same run, as a trainer's validator.
    """
    tracker = next((handler for handler in handlers if isinstance(handler, MLFlowHandler)), None)
    if tracker is None:
        return
    files = [_path(artifact) for artifact in (*tracker.artifacts, *artifacts) if isinstance(artifact, str | Path)]
    config = next((path for path in files if path.suffix == ".json" and path.is_file()), None)
    tracker.artifacts = tuple(str(path) for path in files)
    tracker.experiment_param = _parameters(config)
    tracker.close_on_complete = True
    tracker.output_transform = _loss
    name = tracker.run_name or time.strftime(f"run_%Y%m%d_%H%M%S_{os.getpid()}")
    for handler in (tracker, *joined):
        if isinstance(handler, MLFlowHandler):
            handler.run_name = name
    _end_with_the_program(tracker)


def _loss(output: Any) -> Any:
    return output["loss"] if isinstance(output, Mapping) else output[0]["loss"]


def _path(artifact: str | os.PathLike[str]) -> Path:
    folder, joint, name = str(artifact).partition(" + '/")
    return Path(folder, name.removesuffix("'")) if joint else Path(artifact)


def _parameters(config: Path | None) -> dict[str, str]:
    """The values of a config's top level that are no components and hold no expression, and versions."""
    found = {"medseg_version": __version__, "monai_version": monai.__version__, "torch_version": torch.__version__}
    values = ConfigParser.load_config_file(config) if config else {}
    metadata = values.get("_meta_", {})
    found |= {f"bundle_{key}": metadata[key] for key in ("name", "version") if key in metadata}
    found |= {key: value for key, value in values.items() if not key.startswith("_") and _is_plain(value)}
    return {key: str(value)[:_LONGEST_VALUE] for key, value in found.items()}


def _is_plain(value: Any) -> bool:
    if isinstance(value, dict):
        return "_target_" not in value and all(map(_is_plain, value.values()))
    if isinstance(value, list):
        return all(map(_is_plain, value))
    return not (isinstance(value, str) and value.startswith(("$", "@", "%")))


def _end_with_the_program(tracker: MLFlowHandler) -> None:
    """Let an error that ends the program end the run too: MONAI ends it only if all went well."""
    previous = sys.excepthook

    def end(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
        if tracker.cur_run:
            status = "KILLED" if issubclass(kind, KeyboardInterrupt) else "FAILED"
            tracker.client.set_terminated(tracker.cur_run.info.run_id, status)
        previous(kind, error, traceback)

    sys.excepthook = end
