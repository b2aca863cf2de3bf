"""`medseg compare`: evaluations of the same images beside each other."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from medseg.cli.options import add_command


def add_compare(commands: Any) -> None:
    """Add the command to the subparsers of the program."""
    purpose = "compare evaluations of the same images: means, paired differences, intervals, permutation test"
    parser = add_command(commands, "compare", purpose, "compare eval_a eval_b", "compare a b c --metric IoU@0.5")
    parser.add_argument("runs", type=Path, nargs="+", metavar="OUTPUT_DIR", help="output_dir of an evaluation")
    parser.add_argument("--metric", help="a column of images.csv; the Dice if it is left out")
    parser.add_argument("--without", type=Path, metavar="FILE", help="names of images to leave out, one a line")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write all figures to this file")
    parser.set_defaults(run=_compare)


def _compare(args: argparse.Namespace) -> None:
    from medseg.files import atomic_write
    from medseg.results.comparison import compare_runs, comparison_text

    without = args.without.read_text(encoding="utf-8").split() if args.without else ()
    comparison = compare_runs(args.runs, args.metric, without)
    if args.json:
        with atomic_write(args.json) as path:
            path.write_text(json.dumps(comparison, indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(f"{comparison_text(comparison)}\n")
