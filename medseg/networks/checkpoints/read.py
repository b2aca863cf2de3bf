"""Read weight files without running code from them."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from medseg.data.errors import InputError

__all__ = ["read_facts", "read_state_dict"]

# names under which training scripts wrap the weights in their checkpoints
_WRAPPERS = ("state_dict", "model", "model_state_dict", "network")


def read_state_dict(path: str | PathLike[str]) -> dict[str, Tensor]:
    """The tensors of a weight file, unwrapped if a training script wrapped them; no code in it is run.

    Args:
        path: file written by `torch.save` (read with `weights_only=True`), or one that ends in `.safetensors`.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if the file is damaged, holds pickled objects, or holds no tensors by name.
    """
    content = _content(Path(path))
    for wrapper in _WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    named = isinstance(content, Mapping) and all(
        isinstance(k, str) and isinstance(v, Tensor) for k, v in content.items()
    )
    if not named or not content:
        raise InputError(f"'{path}' holds no state_dict (names and tensors): save `network.state_dict()` to it.")
    return dict(content)


def _content(path: Path) -> Any:
    if not path.is_file():
        raise FileNotFoundError(f"There is no weight file '{path}': check the path, or train a network first.")
    try:
        if path.suffix == ".safetensors":
            return _read_safetensors(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise InputError(
            f"'{path}' holds objects other than tensors, which could run code: save its plain state_dict instead."
        ) from error
    except (RuntimeError, EOFError, OSError) as error:
        raise InputError(f"'{path}' cannot be read as a weight file, it may be truncated: fetch it again.") from error


def read_facts(path: str | PathLike[str]) -> dict[str, Any]:
    """What the weights say of themselves: their network's arguments, the size of its images, how they were trained.

    They are an attribute of the state dict, see `medseg.handlers.AtomicCheckpointSaver`. No code in the file is run.

    Args:
        path: file written by `torch.save`, or one that ends in `.safetensors`, which has no facts.

    Returns:
        plain values by name; empty for files that say nothing, as those of other programs.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: as `read_state_dict`.
    """
    return dict(getattr(_content(Path(path)), "medseg", {}))


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tensors = load_file(path)
    except SafetensorError as error:
        raise OSError(str(error)) from error
    if not tensors:
        raise InputError(f"'{path}' holds no tensors: fetch it again.")
    return tensors
