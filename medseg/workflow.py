"""What the bundles' configs call before and after an engine runs: defaults, checks, readable errors."""

from __future__ import annotations

import difflib
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryFile
from types import TracebackType

import ignite.distributed as idist
import torch
import torch.distributed as dist
import yaml
from ignite.engine import Engine
from monai.bundle import ConfigParser
from monai.handlers import CheckpointLoader
from torch import nn

from medseg.data.errors import InputError
from medseg.data.kinds import kinds_of_input
from medseg.data.phantoms import write_phantoms
from medseg.networks.checkpoints import check_fit, read_state_dict
from medseg.problems import raise_problems, write_problems

__all__ = [
    "attach_after_restart",
    "check_bundle_root",
    "check_command_line",
    "check_file",
    "check_input",
    "check_output_dir",
    "check_override",
    "check_weights",
    "dataset_or_phantoms",
    "default_device",
    "init_distributed",
    "is_cuda",
    "is_worker",
    "raise_problems",
    "short_errors",
    "user_error",
    "write_problems",
]

# arguments of `python -m monai.bundle run` itself, which no config holds
_BUNDLE_ARGUMENTS = {
    *("run_id", "init_id", "final_id", "meta_file", "config_file", "logging_file", "tracking", "args_file"),
    *("workflow_type", "properties_path"),
}
# ids that MONAI adds to the config itself when experiment tracking is on
_TRACKING_ARGUMENTS = {"tracking_uri", "experiment_name", "run_name", "save_execute_config", "is_not_rank0"}


def short_errors() -> None:
    """From here on an `InputError` that ends the program prints its one sentence, not the whole traceback.

    So does a file that is not there. The exit status stays 1. Any other error keeps its traceback: it is ours.
    """
    previous = sys.excepthook

    def show(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
        cause = user_error(error)
        if cause is None:
            previous(kind, error, traceback)
        else:
            sys.stderr.write(f"Error: {cause}\n")

    sys.excepthook = show


def user_error(error: BaseException) -> InputError | FileNotFoundError | None:
    """What speaks to the user in the chain of causes of `error`, which MONAI wraps; None if there is nothing."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, InputError | FileNotFoundError):
        cause = cause.__cause__ or cause.__context__
    return cause


def default_device() -> torch.device:
    """The GPU of this process where there is one (`LOCAL_RANK` under torchrun), else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))
    return torch.device("cpu")


def is_cuda(device: str | torch.device) -> bool:
    """Whether `device` is a GPU; the configs switch automatic mixed precision on there only."""
    return torch.device(device).type == "cuda"


def is_worker() -> bool:
    """Whether this process is one of several and not the first; only the first writes logs."""
    return int(os.environ.get("RANK", 0)) > 0


def _restarts() -> int:
    """How often torchrun has started this run again after a failure."""
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", 0))


def init_distributed() -> None:
    """Join torchrun's process group, over NCCL where there are GPUs and over Gloo on CPUs.

    Raises:
        InputError: if the program was not started by torchrun.
    """
    if "RANK" not in os.environ:
        raise InputError("A multi-process config must be started by torchrun: `torchrun --nproc_per_node=N -m ...`.")
    if not dist.is_initialized():
        store, rank, world_size = next(dist.rendezvous("env://"))
        # torchrun keeps one store over its restarts: without a prefix of its own, a restarted process may find the
        # address of a dead one there and wait for it
        store = dist.PrefixStore(f"restart_{_restarts()}", store)
        backend = "nccl" if torch.cuda.is_available() else "gloo"
        dist.init_process_group(backend, store=store, rank=rank, world_size=world_size)
    if torch.cuda.is_available():
        torch.cuda.set_device(default_device())
    # Ignite finds out about the processes when it is first asked, by messages among all of them: left to a handler
    # that only the first process has, they would wait for each other for ever
    idist.sync()
    if is_worker():
        logging.getLogger().setLevel(logging.WARNING)


def check_bundle_root(bundle_root: str | os.PathLike[str]) -> None:
    """Raise an `InputError` unless `bundle_root` is the folder of a bundle."""
    if not (Path(bundle_root) / "configs" / "metadata.json").is_file():
        raise InputError(
            f"bundle_root '{bundle_root}' is not a bundle's folder (it has no configs/metadata.json): "
            "start from that folder or pass --bundle_root PATH."
        )


def check_command_line(arguments: Sequence[str] | None = None) -> None:
    """Raise an `InputError` for an override of `monai.bundle run` that no config file has an id for.

    MONAI adds an unknown id to the config without a word, so that a misspelt `--epoch 5` would do nothing. It also
    reads `false` as text, which counts as true: a switch must be given as `True` or `False`.

    Args:
        arguments: the command line; of this program if None. Anything but a `monai.bundle` run is let pass.
    """
    if arguments is None:
        if Path(sys.argv[0]).parent.parts[-2:] != ("monai", "bundle"):
            return
        arguments = sys.argv[1:]
    given = _overrides(arguments)
    files = given.get("config_file")
    if given.get("tracking") == "mlflow" and find_spec("mlflow") is None:
        raise InputError("--tracking mlflow needs mlflow: `pip install medseg[tracking]`.")
    if files is None:  # named in an args_file, which MONAI has read by now
        return
    known = ConfigParser(ConfigParser.load_config_files(yaml.safe_load(files)))
    for name in given.keys() - _BUNDLE_ARGUMENTS - _TRACKING_ARGUMENTS:
        if given[name] in ("true", "false"):
            raise InputError(f"--{name} must be True or False, got '{given[name]}', which would count as text.")
        check_override(name, known)


def check_override(name: str, known: ConfigParser, option: str = "--") -> None:
    """Raise an `InputError` for an override that the config has no id for.

    Args:
        name: id of the override.
        known: the config.
        option: what the user writes before the id.
    """
    # a new leaf below an id that exists is an argument for its component
    parent = name.replace("#", "::").rpartition("::")[0]
    if name not in known and (not parent or parent not in known):
        close = difflib.get_close_matches(name, [str(key) for key in known.get("")], n=1)
        hint = f"did you mean {option}{close[0]}?" if close else "see the first block of the config for what there is."
        raise InputError(f"{option}{name} is not in the config: {hint}")


def _overrides(arguments: Sequence[str]) -> dict[str, str]:
    """`--name value` and `--name=value` as a dict, as python-fire reads them."""
    given: dict[str, str] = {}
    for i, argument in enumerate(arguments):
        if argument.startswith("--"):
            name, equals, value = argument[2:].partition("=")
            following = arguments[i + 1] if i + 1 < len(arguments) else ""
            given[name] = value if equals else following
    return given


def check_weights(network: nn.Module, checkpoint: str | os.PathLike[str]) -> None:
    """Raise an `InputError` unless `checkpoint` is a readable weight file that fits `network` exactly."""
    check_file(checkpoint, "weight file")
    check_fit(network, read_state_dict(checkpoint), source=f"the weights in '{checkpoint}'")


def dataset_or_phantoms(
    dataset_dir: str | os.PathLike[str] | None, kind: str, folder: str | os.PathLike[str], count: int, seed: int
) -> str:
    """`dataset_dir` itself, or, without one, a folder of generated pictures or volumes and their masks.

    Args:
        dataset_dir: the user's folder, or None.
        kind: a key of `medseg.data.phantoms.PHANTOMS` or `VOLUME_PHANTOMS`.
        folder: where the phantoms go; reused if the same ones are there already.
        count: number of phantoms.
        seed: the same seed gives the same phantoms.
    """
    return str(write_phantoms(kind, folder, count, seed)) if dataset_dir is None else str(dataset_dir)


def check_input(path: str | os.PathLike[str] | None, kind: str) -> None:
    """Raise an `InputError` if the user's files are not there or are of another kind.

    Args:
        path: file or folder; None, for generated ones, is let pass.
        kind: what the config takes, `pictures` or `volumes`.
    """
    if path is None:
        return
    if not Path(path).exists():
        raise InputError(f"The input '{path}' does not exist: check the path.")
    found = kinds_of_input(path)
    if found and kind not in found:
        raise InputError(f"The input '{path}' holds {found.pop()}, this config takes {kind}: choose another bundle.")


def check_output_dir(
    items: Sequence[Mapping[str, str]],
    output_dir: str | os.PathLike[str],
    source: str | os.PathLike[str] | None = None,
    key: str = "image",
) -> None:
    """Raise an `InputError` if results cannot be written, or would be taken for inputs or overwrite them.

    Args:
        items: what is going to be segmented.
        output_dir: where the results go; made when missing.
        source: the folder that the user gave, which results must stay out of; a file, or None, says nothing.
        key: key of the input file in an item.
    """
    target = Path(output_dir).resolve()
    if target.exists() and not target.is_dir():
        raise InputError(f"output_dir '{output_dir}' is a file: choose another name for the results.")
    beside = [item[key] for item in items if Path(item[key]).resolve().parent == target]
    if beside:
        raise InputError(
            f"output_dir '{output_dir}' holds '{Path(beside[0]).name}', which its own mask could overwrite: "
            "choose another folder for the results."
        )
    if source is not None and Path(source).is_dir() and target.is_relative_to(Path(source).resolve()):
        raise InputError(
            f"output_dir '{output_dir}' lies in the input folder '{source}', whose next run would take results for "
            "inputs: choose a folder outside."
        )
    try:
        target.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=target):
            pass
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"output_dir '{output_dir}' cannot be written into ({reason}): choose another.") from error


def check_file(path: str | os.PathLike[str], what: str) -> None:
    """Raise an `InputError` unless there is a file at `path`."""
    if not Path(path).is_file():
        raise InputError(f"There is no {what} '{path}': check the path, or run what writes it first.")


def attach_after_restart(handler: CheckpointLoader, engine: Engine) -> None:
    """Let `engine` continue from its last checkpoint, if torchrun has restarted this run and there is one."""
    if _restarts() > 0 and Path(handler.load_path).is_file():
        handler.attach(engine)
