"""Rename a published `state_dict` key by key; every key is accounted for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

from .rules import LEFT_BEHIND, RENAMES

__all__ = ["Conversion", "convert_state_dict"]


@dataclass
class Conversion:
    """A renamed state dict and the story of every source key.

    Attributes:
        state_dict: our key -> tensor.
        renamed: source key -> our key.
        left_behind: source key -> why it is not needed.
    """

    state_dict: dict[str, Tensor] = field(default_factory=dict)
    renamed: dict[str, str] = field(default_factory=dict)
    left_behind: dict[str, str] = field(default_factory=dict)


def convert_state_dict(state_dict: Mapping[str, Tensor]) -> Conversion:
    """Rename the keys of a published SSFormer, or of its encoder alone; keys that are ours already stay as they are.

    Whether the result fits a network is for a strict load to say, see `load_weights`.

    Args:
        state_dict: key -> tensor, as published.

    Raises:
        ValueError: if two source keys get the same name.
    """
    conversion = Conversion()
    for key, tensor in state_dict.items():
        bare = key.removeprefix("module.")
        reason = next((reason for pattern, reason in LEFT_BEHIND if re.search(pattern, bare)), None)
        if reason is not None:
            conversion.left_behind[key] = reason
            continue
        name = _rename(key)
        if name in conversion.state_dict:
            raise ValueError(f"two keys of the weights would both become '{name}', the second is '{key}'.")
        conversion.state_dict[name] = tensor
        conversion.renamed[key] = name
    return conversion


def _rename(key: str) -> str:
    for pattern, template in RENAMES:
        match = re.search(pattern, key)
        if match is None:
            continue
        if "{i-1}" in template:
            template = template.replace("{i-1}", str(int(match.group(1)) - 1))
        key = key[: match.start()] + match.expand(template) + key[match.end() :]
    return key
