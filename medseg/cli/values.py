"""Values of config ids on the command line."""

import argparse
from collections.abc import Sequence
from typing import Any

__all__ = ["add_set_option", "parse_values"]


def add_set_option(parser: argparse.ArgumentParser, what: str) -> None:
    """Let a command take `--set ID=VALUE`.

    Args:
        parser: of the command.
        what: which values they are, for the help.
    """
    parser.add_argument("--set", action="append", default=[], metavar="ID=VALUE", help=f"{what}; repeatable")


def parse_values(texts: Sequence[str]) -> dict[str, Any]:
    """`ID=VALUE` texts as a dict; a value is read as YAML, and `1e-4` as a number, which YAML 1.1 takes for text.

    Raises:
        ValueError: a text has no `=`.
    """
    import yaml

    values = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise ValueError(f"--set {text} has no value: write --set ID=VALUE, as --set encoder=mit_b0.")
        values[name] = yaml.safe_load(value)
        if isinstance(values[name], str):
            try:
                values[name] = float(value)
            except ValueError:
                continue
    return values
