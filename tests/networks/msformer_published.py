"""The published MS-Former seen from ours: its parameter names, and weights made from these by a rule."""

import re
import zlib

import numpy as np
import torch
from torch import Tensor

# published name -> ours, first match wins
_RULES = (
    (r"patch_embed_s\.", "embed_fine."),
    (r"patch_embed_l\.", "embed_coarse."),
    (r"block_([sl])\.(\d)\.attn\.reprojection\.", r"\1.\2.attn.projection."),
    (r"block_([sl])\.(\d)\.mlp\.dwconv\.dwconv\.", r"\1.\2.mlp.dwconv."),
    (r"block_([sl])\.(\d)\.mlp\.norm1\.", r"\1.\2.mlp.norm."),
    (r"block_([sl])\.(\d)\.", r"\1.\2."),
    (r"bn2_([sl])\.(\d)\.", r"\1.\2.norm_out."),
    (r"linear_up\.", "upsample."),
    (r"linear_down\.", "head."),
    (r"to_patch_embedding\.1\.", "embed_patch."),
    (r"bn3\.", "norm_scores."),
)


def published_value(key: str, shape: list[int]) -> Tensor:
    """The value of a published entry after the filling rule of the reference outputs."""
    rng = np.random.default_rng(zlib.crc32(key.encode()))
    last = key.rpartition(".")[2]
    if last == "num_batches_tracked":
        return torch.tensor(0)
    if last == "running_var":
        value = 0.5 + rng.random(shape)
    elif last == "running_mean":
        value = 0.1 * rng.standard_normal(shape)
    elif len(shape) >= 2:
        value = rng.standard_normal(shape) * np.sqrt(1 / np.prod(shape[1:]))
    else:
        value = (last == "weight") + 0.1 * rng.standard_normal(shape)
    return torch.from_numpy(value.astype(np.float32))


def from_published(state: dict[str, Tensor], target: dict[str, Tensor]) -> dict[str, Tensor]:
    """Rename a published state dict; convolutions that are matrix products here lose their spatial axes."""
    out: dict[str, Tensor] = {}
    for key, value in state.items():
        name = key
        for pattern, replacement in _RULES:
            name, hits = re.subn("^" + pattern, replacement, key)
            if hits:
                break
        name = re.sub(r"^([sl])\.", lambda match: {"s": "fine.", "l": "coarse."}[match[1]], name)
        out[name] = value.reshape(target[name].shape)
    return out
