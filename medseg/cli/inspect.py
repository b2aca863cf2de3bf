"""`medseg inspect`: what a weight file holds."""

import argparse
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medseg.cli.options import add_command
from medseg.errors import InputError

if TYPE_CHECKING:
    from medseg.networks.checkpoints.convert import Conversion
    from medseg.networks.checkpoints.recognize import Recognition


def add_inspect(commands: Any) -> None:
    """Add the command to the subparsers of the program."""
    parser = add_command(
        commands,
        "inspect",
        "show what a weight file holds and what `convert` would make of it",
        "inspect ssformer_s.pth",
        "inspect pvt_v2_b2",
    )
    add_source_options(parser)
    parser.set_defaults(run=_inspect)


def add_source_options(parser: argparse.ArgumentParser) -> None:
    """Let a command take a weight file."""
    parser.add_argument("source", metavar="SRC", help="weight file, or a name that can be downloaded, as pvt_v2_b2")
    parser.add_argument("--encoder-only", action="store_true", help="ignore a decoder in the file")


def _inspect(args: argparse.Namespace) -> None:
    from medseg.networks.checkpoints.hub import find_weights
    from medseg.networks.checkpoints.recognize import convert_file

    path = find_weights(args.source)
    print_conversion(path, *convert_file(path, args.encoder_only))


def print_conversion(path: Path, conversion: "Conversion", recognition: "Recognition") -> None:
    """Print what became of the keys; raise an `InputError` if one is missing or left over."""
    network = ", ".join(f"{name} {value}" for name, value in recognition.arguments.items())
    lines = [
        f"source: {path}",
        f"kind: {' and '.join(source.name for source in conversion.sources)}",
        f"network: {network}" + ("" if "decoder" in recognition.arguments else " (the encoder alone)"),
        f"mapped: {len(conversion.renamed)} keys",
        f"ignored by rule: {len(conversion.dropped)} keys",
        *(f"  {count} {reason}" for reason, count in Counter(conversion.dropped.values()).items()),
        *(recognition.problems or ["missing or left over: none"]),
    ]
    sys.stdout.write("\n".join(lines) + "\n")
    if recognition.problems:
        raise InputError(
            f"'{path}' is not a complete {recognition.arguments['encoder']}, nothing was written: "
            f"{'; '.join(recognition.problems)}."
        )
