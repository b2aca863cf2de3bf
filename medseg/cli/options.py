"""What the parsers of several commands share."""

import argparse
from collections.abc import Sequence
from typing import Any


def add_command(commands: Any, name: str, purpose: str, *examples: str) -> argparse.ArgumentParser:
    """Add the parser of a command.

    Args:
        commands: subparsers of the program.
        name: the command.
        purpose: what it does, a clause without a full stop.
        examples: command lines after `python -m medseg`, shown at the end of the command's help.
    """
    return commands.add_parser(
        name,
        help=purpose,
        description=f"{purpose[0].upper()}{purpose[1:]}.",
        epilog="\n".join(["examples:", *(f"  python -m medseg {example}" for example in examples)]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def add_set_option(parser: argparse.ArgumentParser, what: str) -> None:
    """Let a command take `--set ID=VALUE`, any number of times, as `args.set`; `what` is said in the help."""
    parser.add_argument("--set", action="append", default=[], metavar="ID=VALUE", help=f"{what}; repeatable")


def parse_values(texts: Sequence[str]) -> dict[str, Any]:
    """`ID=VALUE` texts as a dict; a value is read as YAML, and `1e-4` as a number, which YAML 1.1 takes for text.

    Raises:
        InputError: a text has no `=`.
    """
    import yaml

    from medseg.errors import InputError

    values = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise InputError(f"--set {text} has no value: write --set ID=VALUE, as --set encoder=mit_b0.")
        values[name] = yaml.safe_load(value)
        if isinstance(values[name], str):
            try:
                values[name] = float(value)
            except ValueError:
                continue
    return values
