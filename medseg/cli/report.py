"""`medseg report`: one HTML page about a results folder."""

import argparse
import sys
from pathlib import Path
from typing import Any

from medseg.cli.options import add_command


def add_report(commands: Any) -> None:
    """Add the command to the subparsers of the program."""
    purpose = "write report.html, one page about a results folder, into that folder"
    parser = add_command(commands, "report", purpose, "report masks")
    parser.add_argument("output_dir", type=Path, metavar="OUTPUT_DIR", help="output_dir of inference or evaluation")
    parser.set_defaults(run=_report)


def _report(args: argparse.Namespace) -> None:
    from medseg.results.report import write_report

    sys.stdout.write(f"written: {write_report(args.output_dir)}\n")
