"""`medseg inspect`: what a weight file holds."""

import argparse
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from medseg.networks.checkpoints.convert import Conversion
    from medseg.networks.checkpoints.recognize import Recognition

__all__ = ["add_inspect", "tell_conversion"]


def add_inspect(commands: Any) -> None:
    parser = commands.add_parser("inspect", help="tell what a weight file holds and what `convert` would make of it")
    parser.add_argument("source", metavar="SRC", help="weight file, or a name that can be downloaded, as pvt_v2_b2")
    parser.add_argument("--encoder-only", action="store_true", help="leave a decoder in the file behind")
    parser.set_defaults(run=_inspect)


def _inspect(given: argparse.Namespace) -> None:
    from medseg.networks.checkpoints.hub import find_weights
    from medseg.networks.checkpoints.recognize import convert_file

    path = find_weights(given.source)
    tell_conversion(path, *convert_file(path, given.encoder_only))


def tell_conversion(path: Path, conversion: "Conversion", recognition: "Recognition") -> None:
    """Print the account of a conversion; raise a ValueError if something in it is unexplained."""
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
        raise ValueError(
            f"'{path}' does not explain itself as {recognition.arguments['encoder']} in full, "
            f"nothing was written: {'; '.join(recognition.problems)}."
        )
