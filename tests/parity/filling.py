"""The rule by which the published networks' weights were filled: a function of each key and shape alone."""

import math
import zlib
from collections.abc import Iterable

import numpy as np
import torch


def filled(keys_and_shapes: Iterable[tuple[str, list[int]]]) -> dict[str, torch.Tensor]:
    return {key: torch.from_numpy(_values(key, tuple(shape))) for key, shape in keys_and_shapes}


def _values(key: str, shape: tuple[int, ...]) -> np.ndarray:
    rng = np.random.default_rng(zlib.crc32(key.encode()))
    last = key.rpartition(".")[2]
    if last == "num_batches_tracked":
        return np.zeros(shape, dtype=np.int64)
    if last == "running_var":
        values = 0.5 + rng.random(shape)
    elif last == "running_mean":
        values = 0.1 * rng.standard_normal(shape)
    elif len(shape) >= 2:
        values = rng.standard_normal(shape) * math.sqrt(1 / math.prod(shape[1:]))
    elif last == "weight":
        values = 1 + 0.1 * rng.standard_normal(shape)
    elif last == "bias":
        values = 0.1 * rng.standard_normal(shape)
    else:
        raise ValueError(f"the rule says nothing about {key} of shape {shape}")
    return values.astype(np.float32)
