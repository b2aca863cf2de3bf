"""`medseg export`: a bundle with its network in formats for deployment."""

import argparse
import sys
from pathlib import Path
from typing import Any

from medseg.cli.bundles import add_bundle_argument, open_bundle
from medseg.cli.options import add_command, add_set_option, parse_values
from medseg.errors import InputError


def add_export(commands: Any) -> None:
    """Add the command to the subparsers of the program."""
    parser = add_command(
        commands,
        "export",
        "zip a bundle with its network as PyTorch, TorchScript and ONNX",
        "export ssformer_polyp_segmentation",
        "export ssformer_polyp_segmentation --weights small.pt --set encoder=mit_b0 --to small.zip",
    )
    add_bundle_argument(parser)
    parser.add_argument("--to", type=Path, metavar="FILE.zip", help="zip to write; the bundle's name if not given")
    parser.add_argument("--weights", type=Path, metavar="FILE", help="weights, if not models/model.pt of the bundle")
    add_set_option(parser, "value the network was trained with")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="compare on this picture, not on a generated one")
    parser.add_argument("--no-onnx", action="store_true", help="leave model.onnx out")
    parser.add_argument("--overwrite", action="store_true", help="replace FILE.zip if there is one")
    parser.set_defaults(run=_export)


def _export(args: argparse.Namespace) -> None:
    from medseg.bundle.export import export_bundle

    with open_bundle(args.bundle) as bundle:
        target = args.to or Path(f"{bundle.resolve().name}.zip")
        if target.suffix != ".zip":
            raise InputError(f"'{target}' must end in .zip: MONAI opens a bundle by this ending.")
        if target.exists() and not args.overwrite:
            raise FileExistsError(f"'{target}' exists already: move it, or pass --overwrite.")
        values = parse_values(args.set)
        differences = export_bundle(bundle, target, args.weights, values, not args.no_onnx, args.picture)
    for found in differences:
        images, height, width = found.size
        sys.stdout.write(
            f"{found.file}: {images} x {height} x {width}, greatest difference {found.difference:.1e} "
            f"of logits up to {found.magnitude:.2g}\n"
        )
    sys.stdout.write(f"written: {target}\n")
