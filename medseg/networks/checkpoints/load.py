"""Read weight files without running code from them, and load them strictly."""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .convert import convert_state_dict

__all__ = ["check_fit", "load_pretrained", "load_weights", "read_state_dict"]

# names under which training scripts wrap the weights in their checkpoints
_WRAPPERS = ("state_dict", "model", "model_state_dict", "network")


def read_state_dict(path: str | PathLike[str]) -> dict[str, Tensor]:
    """The tensors of a `.pt` or `.pth` file, unwrapped if a training script wrapped them.

    Args:
        path: file written by `torch.save`; read with `weights_only=True`, so no code in it is run.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is damaged, holds pickled objects, or holds no tensors by name.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no weight file '{path}': check the path, or train a network first.")
    try:
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(
            f"'{path}' holds objects other than tensors, which could run code: save its plain state_dict instead."
        ) from error
    except (RuntimeError, EOFError, OSError) as error:
        raise ValueError(f"'{path}' cannot be read as a weight file, it may be truncated: fetch it again.") from error
    for wrapper in _WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    if not isinstance(content, Mapping) or not content or not all(isinstance(v, Tensor) for v in content.values()):
        raise ValueError(f"'{path}' holds no state_dict (names and tensors): save `network.state_dict()` to it.")
    return dict(content)


def load_weights(network: nn.Module, weights: str | PathLike[str] | Mapping[str, Tensor]) -> None:
    """Load weights of the whole network, ours or published, strictly: nothing missing, nothing left over.

    Args:
        network: changed in place, only if everything fits.
        weights: a file or a state dict.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file cannot be read or does not fit; the message names the keys.
    """
    tensors, source = _tensors_of(weights)
    state_dict = convert_state_dict(tensors).state_dict
    check_fit(network, state_dict, source)
    network.load_state_dict(state_dict)


def load_pretrained(network: nn.Module, weights: str | PathLike[str] | Mapping[str, Tensor]) -> None:
    """Start a network from weights of the whole network, or from those of its `encoder` alone, strictly.

    Args:
        network: a network with an attribute `encoder`; changed in place, only if everything fits.
        weights: a file or a state dict.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file cannot be read or does not fit; the message names the keys.
    """
    tensors, source = _tensors_of(weights)
    state_dict = convert_state_dict(tensors).state_dict
    if state_dict and all(key.startswith("encoder.") for key in state_dict):
        own = {f"decoder.{key}": tensor for key, tensor in network.get_submodule("decoder").state_dict().items()}
        state_dict.update(own)
    check_fit(network, state_dict, source)
    network.load_state_dict(state_dict)


def check_fit(network: nn.Module, state_dict: Mapping[str, Tensor], source: str = "the weights") -> None:
    """Compare keys and shapes without loading anything.

    Args:
        network: the network that should take the weights.
        state_dict: key -> tensor, under our names.
        source: what to call the weights in the message.

    Raises:
        ValueError: if a key is missing or left over, or a shape differs; the message names them.
    """
    wanted = network.state_dict()
    problems = [
        *_listed("missing", wanted.keys() - state_dict.keys()),
        *_listed("left over", state_dict.keys() - wanted.keys()),
        *_listed(
            "of another shape",
            (
                f"{key} {list(state_dict[key].shape)} instead of {list(tensor.shape)}"
                for key, tensor in wanted.items()
                if key in state_dict and state_dict[key].shape != tensor.shape
            ),
        ),
    ]
    if problems:
        raise ValueError(
            f"{source} do not fit this {type(network).__name__}, check its encoder, decoder and decoder_channels: "
            + "; ".join(problems)
            + "."
        )


def _tensors_of(weights: str | PathLike[str] | Mapping[str, Tensor]) -> tuple[Mapping[str, Tensor], str]:
    """The tensors, and what to call them in a message."""
    if isinstance(weights, Mapping):
        return weights, "the weights"
    return read_state_dict(weights), f"the weights in '{weights}'"


def _listed(what: str, keys: Iterable[str], most: int = 4) -> list[str]:
    names = sorted(keys)
    if not names:
        return []
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return [f"{len(names)} {what} ({', '.join(names[:most])}{more})"]
