"""`medseg serve`: serve a bundle by MONAI Label."""

import argparse
import sys
from pathlib import Path
from typing import Any

from medseg.cli.values import add_set_option, parse_values

__all__ = ["add_serve"]


def add_serve(commands: Any) -> None:
    """Add the command to the parser's commands."""
    parser = commands.add_parser(
        "serve", help="serve a trained bundle to 3D Slicer, OHIF or CVAT by MONAI Label, on this machine only"
    )
    parser.add_argument("bundle", type=Path, metavar="BUNDLE_DIR", help="folder of the bundle")
    parser.add_argument("studies", metavar="STUDIES", help="folder of images, or address of a DICOMweb server")
    parser.add_argument("port", type=int, nargs="?", default=8000, metavar="PORT", help="8000 if not given")
    parser.add_argument("--app", type=Path, metavar="DIR", help="where the served copy lives; runs/serve if not given")
    add_set_option(parser, "value the network was trained with, or that Label is to train with")
    parser.add_argument(
        "--conf", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"), help="setting of Label; repeatable"
    )
    parser.set_defaults(run=_serve)


def _serve(given: argparse.Namespace) -> None:
    from medseg.bundle.monai_label import copy_for_label, serve

    model = copy_for_label(given.bundle, (given.app or Path("runs", "serve")).resolve(), parse_values(given.set))
    sys.stdout.write(f"{model.name} from {model} at http://127.0.0.1:{given.port}\n")
    sys.stdout.flush()
    serve(model, given.studies, given.port, given.conf)
