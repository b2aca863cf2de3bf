"""Values that a command line sets: their checks, and how they enter a config."""

import difflib
import os
import re
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml
from monai.bundle import ConfigParser

from medseg.bundle.settings import check_settings
from medseg.errors import InputError, missing_packages

# arguments of `python -m monai.bundle run` itself, which no config holds
_BUNDLE_ARGUMENTS = {
    *("run_id", "init_id", "final_id", "meta_file", "config_file", "logging_file", "tracking", "args_file"),
    *("workflow_type", "properties_path"),
}
# ids that MONAI adds to the config itself when experiment tracking is on
_TRACKING_ARGUMENTS = {"tracking_uri", "experiment_name", "run_name", "save_execute_config", "is_not_rank0"}


def literal(value: Any) -> Any:
    r"""A user's value in a form that MONAI's config parser gives back as it is.

    The parser evaluates text that begins with `$`, looks up what follows `@` and `%`, replaces `#`, and calls what
    `_target_` names. A value that holds one of these becomes an expression without them, such as `$'\x24HOME'`.
    """
    text = repr(value)
    if not re.search(r"[$@%#]|_target_", text):
        return value
    return "$" + re.sub(r"[$@%#]", lambda found: f"\\x{ord(found[0]):02x}", text)


def check_command_line(bundle_root: str | os.PathLike[str], arguments: Sequence[str] | None = None) -> None:
    """Raise an `InputError` for an override of `monai.bundle run` that no config has an id for, or of a wrong value.

    MONAI adds an unknown id to the config without a word, so that a misspelt `--epoch 5` would do nothing. It also
    reads `false` as text, which counts as true: a switch must be given as `True` or `False`.

    Args:
        bundle_root: folder of the bundle, whose settings say which values are allowed.
        arguments: the command line; of this program if None. Anything but a `monai.bundle` run is let pass.
    """
    if arguments is None:
        if Path(sys.argv[0]).parent.parts[-2:] != ("monai", "bundle"):
            return
        arguments = sys.argv[1:]
    given = _overrides(arguments)
    files = given.get("config_file")
    if given.get("tracking") == "mlflow" and find_spec("mlflow") is None:
        raise missing_packages("--tracking mlflow", "mlflow-skinny sqlalchemy alembic")
    if files is None:  # named in an args_file, which MONAI has read by now
        return
    from fire.parser import DefaultParseValue  # MONAI has it loaded here, and nothing else needs it

    known = ConfigParser(ConfigParser.load_config_files(yaml.safe_load(files)))
    values = {}
    for name in given.keys() - _BUNDLE_ARGUMENTS - _TRACKING_ARGUMENTS:
        if given[name] in ("true", "false"):
            raise InputError(f"--{name} must be True or False, got '{given[name]}', which would count as text.")
        check_override(name, known)
        values[name] = DefaultParseValue(given[name])
    check_settings(bundle_root, {**known.get(), **values})


def check_override(name: str, known: ConfigParser, option: str = "--") -> None:
    """Raise an `InputError` for an override that the config has no id for.

    Args:
        name: id of the override.
        known: the config.
        option: what the user writes before the id.
    """
    # a new leaf below an id that exists is an argument for its component
    parent = name.replace("#", "::").rpartition("::")[0]
    if name not in known and (not parent or parent not in known):
        close = difflib.get_close_matches(name, [str(key) for key in known.get("")], n=1)
        hint = f"did you mean {option}{close[0]}?" if close else "see the first block of the config for what there is."
        raise InputError(f"{option}{name} is not in the config: {hint}")


def _overrides(arguments: Sequence[str]) -> dict[str, str]:
    """`--name value` and `--name=value` as a dict, as python-fire reads them."""
    given: dict[str, str] = {}
    for i, argument in enumerate(arguments):
        if argument.startswith("--"):
            name, equals, value = argument[2:].partition("=")
            following = arguments[i + 1] if i + 1 < len(arguments) else ""
            given[name] = value if equals else following
    return given
