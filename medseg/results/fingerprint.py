"""What results were made with, computed from the objects that make them."""

import hashlib
import json
import math
import os
from collections.abc import Mapping, Sequence
from enum import Enum
from functools import partial
from types import FunctionType, MethodType
from typing import Any

import numpy as np
import torch
from torch import nn

# they decide where and how fast something runs, not what comes out
_WITHOUT_EFFECT = {
    *("device", "sw_device", "sw_batch_size", "stack_size", "buffer_steps", "buffer_dim", "cpu_thresh", "progress"),
    *("handlers", "training", "R", "logger"),
}


def describe(value: Any, folders: Mapping[str, str | os.PathLike[str]] | None = None) -> Any:
    """Everything about an object that decides about results, as plain JSON values.

    Transforms, inferers and containers become their classes and attributes, all the way down. A network becomes its
    class, its number of parameters and a checksum over its modules and their settings (not its weights).

    Args:
        value: for example a `Compose`, an inferer or a network.
        folders: name -> folder that may differ between runs; a path in it is described relative to its name.

    Returns:
        the same for two objects that were made in the same way, also in different processes.
    """
    places = {str(folder): f"<{name}>" for name, folder in (folders or {}).items()}
    return _describe(value, places, ())


def differences(earlier: Any, now: Any, name: str = "") -> list[str]:
    """Where two descriptions differ: `a.b.2.c: OLD, not NEW` for each place."""
    if isinstance(earlier, Mapping) and isinstance(now, Mapping):
        keys = list(dict.fromkeys([*earlier, *now]))
        return [found for key in keys for found in differences(earlier.get(key), now.get(key), f"{name}.{key}")]
    if isinstance(earlier, list) and isinstance(now, list) and len(earlier) == len(now):
        pairs = enumerate(zip(earlier, now, strict=True))
        return [found for i, (old, new) in pairs for found in differences(old, new, f"{name}.{i}")]
    place = f"{name.lstrip('.')}: " if name else ""
    return [] if earlier == now else [f"{place}{_short(earlier)}, not {_short(now)}"]


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _describe(value: Any, places: Mapping[str, str], above: tuple[int, ...]) -> Any:
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, str | os.PathLike):
        return _relative(str(value), places)
    if isinstance(value, Enum):
        return _describe(value.value, places, above)
    if isinstance(value, torch.Tensor | np.ndarray):
        array = np.ascontiguousarray(value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else value)
        return {
            "shape": list(array.shape),
            "dtype": str(array.dtype),
            "sha256": hashlib.sha256(array.tobytes()).hexdigest(),
        }
    if isinstance(value, type | FunctionType | MethodType | np.dtype | torch.dtype | np.generic):
        return getattr(value, "__qualname__", str(value))
    if id(value) in above or isinstance(value, torch.device | np.random.RandomState | np.random.Generator):
        return None
    above = (*above, id(value))
    if isinstance(value, nn.Module):
        return _describe_network(value, places, above)
    if isinstance(value, Mapping):
        return {str(key): _describe(item, places, above) for key, item in value.items() if key not in _WITHOUT_EFFECT}
    if isinstance(value, set | frozenset):
        return sorted(str(item) for item in value)
    if isinstance(value, Sequence):
        return [_describe(item, places, above) for item in value]
    if isinstance(value, partial):
        return _describe([value.func, value.args, value.keywords], places, above)
    return {"class": type(value).__qualname__, **_describe(getattr(value, "__dict__", {}), places, above)}


def _describe_network(network: nn.Module, places: Mapping[str, str], above: tuple[int, ...]) -> dict[str, Any]:
    hidden = set(nn.Module().__dict__)
    modules = {
        name: [
            type(module).__qualname__,
            _describe({key: item for key, item in vars(module).items() if key not in hidden}, places, above),
            {key: list(tensor.shape) for key, tensor in module.named_parameters(recurse=False)},
        ]
        for name, module in network.named_modules()
    }
    return {
        "class": type(network).__qualname__,
        "parameters": sum(tensor.numel() for tensor in network.parameters()),
        "sha256": hashlib.sha256(json.dumps(modules, sort_keys=True).encode()).hexdigest(),
    }


def _relative(text: str, places: Mapping[str, str]) -> str:
    """`text` relative to one of the folders if it is a path in it, however the path is written."""
    # a text without a separator is a path only if it names a folder as it was given; "." may be anything
    if os.sep not in text and (text not in places or text == os.curdir):
        return text
    path = os.path.abspath(text)
    for folder in sorted(
        places, key=lambda folder: len(os.path.abspath(folder)), reverse=True
    ):  # one may lie in another
        absolute = os.path.abspath(folder)
        if path == absolute or path.startswith(absolute.rstrip(os.sep) + os.sep):
            return places[folder] + path[len(absolute) :]
    return text
