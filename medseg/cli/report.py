"""`medseg report`: one HTML page about a results folder."""

import argparse
import sys
from pathlib import Path
from typing import Any

__all__ = ["add_report"]


def add_report(commands: Any) -> None:
    parser = commands.add_parser("report", help="write report.html, one page about a results folder, into that folder")
    parser.add_argument("output_dir", type=Path, metavar="OUTPUT_DIR", help="output_dir of inference or evaluation")
    parser.set_defaults(run=_report)


def _report(given: argparse.Namespace) -> None:
    from medseg.results.report import write_report

    sys.stdout.write(f"written: {write_report(given.output_dir)}\n")
