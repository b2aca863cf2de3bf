"""`medseg label`: serve a bundle by MONAI Label."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from .values import add_set_option, parse_values

__all__ = ["add_label"]


def add_label(commands: Any) -> None:
    """Add the command to the parser's commands."""
    parser = commands.add_parser(
        "label", help="serve a trained bundle to 3D Slicer, OHIF or CVAT by MONAI Label, on this machine only"
    )
    parser.add_argument("bundle", type=Path, metavar="BUNDLE_DIR", help="folder of the bundle")
    parser.add_argument("studies", metavar="STUDIES", help="folder of images, or address of a DICOMweb server")
    parser.add_argument("port", type=int, nargs="?", default=8000, metavar="PORT", help="8000 if not given")
    parser.add_argument("--app", type=Path, metavar="DIR", help="where the served copy lives; runs/label if not given")
    add_set_option(parser, "value the network was trained with, or that Label is to train with")
    parser.add_argument(
        "--conf", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"), help="setting of Label; repeatable"
    )
    parser.set_defaults(run=_label)


def _label(given: argparse.Namespace) -> None:
    from ..label import place_bundle, serve

    model = place_bundle(given.bundle, (given.app or Path("runs", "label")).resolve(), parse_values(given.set))
    sys.stdout.write(f"{model.name} from {model} at http://127.0.0.1:{given.port}\n")
    sys.stdout.flush()
    serve(model, given.studies, given.port, given.conf)
