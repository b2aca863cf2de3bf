"""The device of this process, and the processes that torchrun starts."""

import atexit
import logging
import os
from pathlib import Path

import ignite.distributed as idist
import torch
import torch.distributed as dist
from ignite.engine import Engine
from monai.handlers import CheckpointLoader

from medseg.errors import InputError


def default_device() -> torch.device:
    """The GPU of this process where there is one (`LOCAL_RANK` under torchrun), else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))
    return torch.device("cpu")


def is_cuda(device: str | torch.device) -> bool:
    """Whether `device` is a GPU; the configs switch automatic mixed precision on there only."""
    return torch.device(device).type == "cuda"


def is_not_rank0() -> bool:
    """Whether this process is one of several and not the first; only the first writes logs."""
    return int(os.environ.get("RANK", 0)) > 0


def require_torchrun() -> None:
    """Check that torchrun started this process.

    Raises:
        InputError: if it did not.
    """
    if not dist.is_torchelastic_launched():
        raise InputError("A multi-process config must be started by torchrun: `torchrun --nproc_per_node=N -m ...`.")


def init_distributed() -> None:
    """Join the process group of torchrun, over NCCL where there are GPUs and over Gloo on CPUs; else do nothing."""
    if not dist.is_torchelastic_launched():
        return
    if not dist.is_initialized():
        store, rank, world_size = next(dist.rendezvous("env://"))
        # torchrun keeps one store over its restarts: without a prefix of its own, a restarted process may find the
        # address of a dead one there and wait for it
        store = dist.PrefixStore(f"restart_{_restarts()}", store)
        backend = "nccl" if torch.cuda.is_available() else "gloo"
        dist.init_process_group(backend, store=store, rank=rank, world_size=world_size)
        atexit.register(_leave)
    if torch.cuda.is_available():
        torch.cuda.set_device(default_device())
    # Ignite finds out about the processes when it is first asked, by messages among all of them: left to a handler
    # that only the first process has, they would wait for each other forever
    idist.sync()
    if is_not_rank0():
        logging.getLogger().setLevel(logging.WARNING)


def attach_after_restart(handler: CheckpointLoader, engine: Engine) -> None:
    """Let `engine` continue from its last checkpoint, if torchrun has restarted this run and there is one."""
    if is_restarted() and Path(handler.load_path).is_file():
        handler.attach(engine)


def is_restarted() -> bool:
    """Whether torchrun has started this run again after a failure."""
    return _restarts() > 0


def _leave() -> None:
    if dist.is_initialized():
        dist.destroy_process_group()


def _restarts() -> int:
    """How often torchrun has started this run again after a failure."""
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", 0))
