"""`medseg serve`: a trained bundle as a MONAI Label server."""

import argparse
import sys
from pathlib import Path
from typing import Any

from medseg.cli.bundles import add_bundle_argument, open_bundle
from medseg.cli.options import add_command, add_set_option, parse_values


def add_serve(commands: Any) -> None:
    """Add the command to the subparsers of the program."""
    parser = add_command(
        commands,
        "serve",
        "serve a trained bundle to 3D Slicer, OHIF or CVAT with MONAI Label, on this machine only",
        "serve ssformer_polyp_segmentation /path/to/pictures",
        "serve ssformer_lung_ct_segmentation http://127.0.0.1:8042/dicom-web 8001",
    )
    add_bundle_argument(parser)
    parser.add_argument("studies", metavar="STUDIES", help="folder of images, or address of a DICOMweb server")
    parser.add_argument("port", type=int, nargs="?", default=8000, metavar="PORT", help="8000 if not given")
    parser.add_argument(
        "--app",
        type=Path,
        default=Path("runs", "serve"),
        metavar="DIR",
        help="folder for the served copy; runs/serve if not given",
    )
    add_set_option(parser, "value the network was trained with, or that Label is to train with")
    parser.add_argument(
        "--conf", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"), help="setting of Label; repeatable"
    )
    parser.set_defaults(run=_serve)


def _serve(args: argparse.Namespace) -> None:
    from medseg.bundle.monai_label import copy_for_label, serve

    with open_bundle(args.bundle) as bundle:
        model = copy_for_label(bundle, args.app.resolve(), parse_values(args.set))
    sys.stdout.write(f"{model.name} from {model} at http://127.0.0.1:{args.port}\n")
    sys.stdout.flush()
    serve(model, args.studies, args.port, args.conf)
