import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from medseg.errors import InputError
from medseg.networks.checkpoints.rules import ANY_FILE, RULE_SETS, RuleSet


@dataclass
class Conversion:
    """A renamed state dict, and what became of each source key."""

    sources: list[RuleSet]  # the rule sets that were applied; empty if none matched
    state_dict: dict[str, Tensor] = field(default_factory=dict)  # our key -> tensor
    renamed: dict[str, str] = field(default_factory=dict)  # source key -> our key
    dropped: dict[str, str] = field(default_factory=dict)  # source key -> the reason why it is not needed


def convert_state_dict(state_dict: Mapping[str, Tensor]) -> Conversion:
    """Rename the keys of any weights that `RULE_SETS` knows; others keep their names, which `load_weights` checks.

    Args:
        state_dict: key -> tensor, as published.

    Raises:
        InputError: if two source keys get the same name.
    """
    bare = {_rename(key, ANY_FILE): key for key in state_dict}
    if len(bare) < len(state_dict):
        raise InputError("some keys of the weights would both become one, with and without the prefix 'module.'.")
    rule_sets = [rules for rules in RULE_SETS if _applies(rules, bare)]
    conversion = Conversion(sources=rule_sets)
    parts: dict[str, dict[str, Tensor]] = {}
    for key, source in bare.items():
        drops = (drop for rules in (ANY_FILE, *rule_sets) for drop in rules.dropped)
        if reason := next((reason for pattern, reason in drops if re.search(pattern, key)), None):
            conversion.dropped[source] = reason
            continue
        for rules in rule_sets:
            key = _rename(key, rules)
        name, position = re.sub(r"@\d", "", key), "".join(re.findall(r"@\d", key))
        pieces = parts.setdefault(name, {})
        if position in pieces:
            raise InputError(f"two keys of the weights would both become '{name}', the second is '{source}'.")
        pieces[position] = state_dict[source]
        conversion.renamed[source] = name
    adjustments = [adjustment for rules in rule_sets for adjustment in rules.adjust]
    for name, pieces in parts.items():
        tensors = [pieces[position] for position in sorted(pieces)]
        tensor = tensors[0] if len(tensors) == 1 else torch.cat(tensors)
        for pattern, adjust in adjustments:
            tensor = adjust(tensor) if re.search(pattern, name) else tensor
        conversion.state_dict[name] = tensor
    return conversion


def _applies(rules: RuleSet, keys: Iterable[str]) -> bool:
    if rules.unless is not None and any(re.search(rules.unless, key) for key in keys):
        return False
    return any(re.search(rules.signature, key) for key in keys)


def _rename(key: str, rules: RuleSet) -> str:
    for pattern, replacement in rules.renames:
        key = re.sub(pattern, replacement, key)
        key = re.sub(r"\{(\d+)-1\}", lambda number: str(int(number[1]) - 1), key)
    return key
