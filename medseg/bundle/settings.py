"""Types and ranges of the values that a user may change, from a bundle's `configs/settings.json`."""

import json
import math
import operator
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from medseg.errors import InputError

_TYPES: dict[str, tuple[str, tuple[type, ...]]] = {
    "integer": ("a whole number", (int,)),
    "number": ("a number", (int, float)),
    "boolean": ("True or False", (bool,)),
}
_LIMITS: dict[str, tuple[str, Callable[[float, float], bool]]] = {
    "minimum": ("at least", operator.ge),
    "exclusiveMinimum": ("greater than", operator.gt),
    "maximum": ("at most", operator.le),
    "exclusiveMaximum": ("less than", operator.lt),
}


def check_settings(bundle_root: str | os.PathLike[str], values: Mapping[str, Any]) -> None:
    """Raise an `InputError` for a value that a bundle's settings do not allow.

    The rules use the words of JSON Schema (`type`, `enum`, `items`, `minimum`, `exclusiveMaximum` and so on), and some
    of our own: type `device`; `length` of a list; `null` and `or`, which allow None or one more value; `below`, the
    setting that must be greater.

    Args:
        bundle_root: folder of the bundle; one without `configs/settings.json` allows everything.
        values: value by id. Ids that have no rule are let pass, and so are references and expressions of MONAI.
    """
    file = Path(bundle_root) / "configs" / "settings.json"
    rules = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    for name in values.keys() & rules.keys():
        value, rule = values[name], rules[name]
        if _is_reference(value):
            continue
        if rule.get("type") == "device":
            _check_device(name, value)
        elif not _fits(value, rule):
            raise InputError(f"'{name}' must be {_described(rule)}, got {value!r}: pass another value.")
        other = values.get(rule.get("below"))
        if "below" in rule and not _is_reference(other) and isinstance(other, int | float) and not value < other:
            raise InputError(f"'{name}' must be less than '{rule['below']}', got {value} and {other}: change one.")


def _is_reference(value: Any) -> bool:
    return isinstance(value, str) and value.startswith(("$", "@", "%"))


def _fits(value: Any, rule: Mapping[str, Any]) -> bool:
    if (value is None and rule.get("null")) or ("or" in rule and value == rule["or"]):
        return True
    if "enum" in rule:
        return value in rule["enum"] and not isinstance(value, bool)
    if "items" in rule:
        allowed = isinstance(value, list | tuple) and len(value) == rule.get("length", len(value))
        return allowed and all(_is_reference(item) or _fits(item, rule["items"]) for item in value)
    finite = type(value) in _TYPES[rule["type"]][1] and math.isfinite(value)  # True is no whole number here
    return finite and all(holds(value, rule[word]) for word, (_, holds) in _LIMITS.items() if word in rule)


def _described(rule: Mapping[str, Any]) -> str:
    if "enum" in rule:
        words = f"one of {', '.join(map(str, rule['enum']))}"
    elif "items" in rule:
        words = f"a list of {rule.get('length', 'values')}, each {_described(rule['items'])}"
    else:
        limits = [f"{words} {rule[word]}" for word, (words, _) in _LIMITS.items() if word in rule]
        words = " ".join([_TYPES[rule["type"]][0], " and ".join(limits)]).strip()
    others = (["None"] if rule.get("null") else []) + ([str(rule["or"])] if "or" in rule else [])
    return " or ".join([words, *others])


def _check_device(name: str, value: Any) -> None:
    try:
        device = torch.device(value)
    except (RuntimeError, TypeError) as error:
        raise InputError(f"'{name}' must be cpu, cuda or cuda:1, say, got {value!r}: pass another value.") from error
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        found = f"{torch.cuda.device_count()} GPUs" if torch.cuda.is_available() else "no GPU"
        raise InputError(f"'{name}' is {value}, but PyTorch finds {found} here: pass cpu, or leave it out.")
