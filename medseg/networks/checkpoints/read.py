"""The one reader of weight files: it runs no code from them and refuses what cannot be weights."""

import pickle
import zipfile
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from medseg.errors import InputError

# names under which training scripts wrap the weights in their checkpoints
_WRAPPERS = ("state_dict", "model", "model_state_dict", "network")
_LFS_POINTER = b"version https://git-lfs.github.com/"
_PAGE_STARTS = (b"<!doctype", b"<html", b"<?xml")


def read_state_dict(path: str | PathLike[str]) -> dict[str, Tensor]:
    """Read the tensors of a weight file, unwrapped if a training script wrapped them.

    Args:
        path: file written by `torch.save` (read with `weights_only=True`), or one that ends in `.safetensors`.

    Returns:
        Name -> tensor on the CPU, all values finite.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if the file is a web page or a git-lfs pointer, is damaged, or holds pickled objects, no tensors by
            name, or NaN or infinite values.
    """
    content = read_content(path)
    for wrapper in _WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    return as_state_dict(content, path)


def as_state_dict(content: Any, path: str | PathLike[str]) -> dict[str, Tensor]:
    """`content` of the file `path` as name -> finite tensor; an `InputError` as of `read_state_dict` if it is not."""
    named = isinstance(content, Mapping) and all(
        isinstance(k, str) and isinstance(v, Tensor) for k, v in content.items()
    )
    if not named or not content:
        raise InputError(f"'{path}' holds no state_dict (names and tensors): save `network.state_dict()` to it.")
    for key, tensor in content.items():
        _refuse_other_numbers(path, key, tensor)
    return dict(content)


def read_facts(path: str | PathLike[str]) -> dict[str, Any]:
    """What the weights say of themselves: their network's arguments, the size of its images, how they were trained.

    They are an attribute of the state dict, see `medseg.handlers.AtomicCheckpointSaver`. Files of other programs, and
    `.safetensors` files, have none. Errors are those of `read_state_dict`, before tensors are looked at.
    """
    return dict(getattr(read_content(path), "medseg", {}))


def read_content(path: str | PathLike[str]) -> Any:
    """What the file holds, weights or a checkpoint of other states too; errors as of `read_state_dict`."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no weight file '{path}': check the path, or train a network first.")
    _refuse_other_files(path)
    try:
        return load_file(path) if path.suffix == ".safetensors" else _read_pickle(path)
    except pickle.UnpicklingError as error:
        raise InputError(
            f"'{path}' holds objects other than tensors, which could run code: save its plain state_dict instead."
        ) from error
    except MemoryError as error:
        raise InputError(f"'{path}' does not fit into memory: close other programs.") from error
    except Exception as error:  # damaged bytes make the readers raise nearly anything
        raise InputError(
            f"'{path}' cannot be read as a weight file, it may be truncated or damaged: fetch it again."
        ) from error


def _refuse_other_files(path: Path) -> None:
    with open(path, "rb") as file:
        start = file.read(512).lstrip().lower()
    if start.startswith(_PAGE_STARTS):
        raise InputError(f"'{path}' is a web page, not a weight file: fetch the file itself.")
    if start.startswith(_LFS_POINTER):
        raise InputError(
            f"'{path}' is a git-lfs pointer, not a weight file: fetch the file itself with `git lfs pull`."
        )


def _read_pickle(path: Path) -> Any:
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            # PyTorch neither compresses its records nor compares their checksums
            inflated = sum(record.file_size for record in archive.infolist()) > path.stat().st_size
            if inflated or archive.testzip() is not None:
                raise zipfile.BadZipFile("a record is damaged")
    return torch.load(path, map_location="cpu", weights_only=True)


def _refuse_other_numbers(path: str | PathLike[str], key: str, tensor: Tensor) -> None:
    if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_meta:
        raise InputError(f"'{path}' holds '{key}' sparse, quantized or without values: save plain tensors.")
    values = tensor.float() if tensor.is_floating_point() else tensor
    if not torch.isfinite(values).all():
        raise InputError(f"'{path}' holds NaN or infinite values in '{key}': use an earlier checkpoint.")
