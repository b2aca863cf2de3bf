"""`medseg export`: a bundle with its network in formats for deployment."""

import argparse
import sys
from pathlib import Path
from typing import Any

from medseg.cli.values import add_set_option, parse_values

__all__ = ["add_export"]


def add_export(commands: Any) -> None:
    parser = commands.add_parser(
        "export", help="zip a bundle with its network as PyTorch, TorchScript, ONNX and, on a GPU, TensorRT"
    )
    parser.add_argument("bundle", type=Path, metavar="BUNDLE_DIR", help="folder of the bundle")
    parser.add_argument("--to", type=Path, metavar="FILE.zip", help="zip to write; the bundle's name if not given")
    parser.add_argument("--weights", type=Path, metavar="FILE", help="weights, if not BUNDLE_DIR/models/model.pt")
    add_set_option(parser, "value the network was trained with")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="compare on this picture, not on a generated one")
    parser.add_argument("--no-onnx", action="store_true", help="leave model.onnx out")
    parser.add_argument("--no-tensorrt", action="store_true", help="leave model_trt.ts out, which only a GPU can make")
    parser.add_argument("--overwrite", action="store_true", help="replace FILE.zip if there is one")
    parser.set_defaults(run=_export)


def _export(given: argparse.Namespace) -> None:
    from medseg.bundle.export import export_bundle
    from medseg.tensorrt import tensorrt_problem

    target = given.to or Path(f"{given.bundle.resolve().name}.zip")
    if target.suffix != ".zip":
        raise ValueError(f"'{target}' must end in .zip: MONAI opens a bundle by this ending.")
    if target.exists() and not given.overwrite:
        raise FileExistsError(f"'{target}' exists already: move it, or pass --overwrite.")
    differences = export_bundle(
        given.bundle,
        target,
        weights=given.weights,
        values=parse_values(given.set),
        onnx=not given.no_onnx,
        picture=given.picture,
        tensorrt=not given.no_tensorrt,
    )
    for found in differences:
        images, height, width = found.size
        sys.stdout.write(
            f"{found.file}: {images} x {height} x {width}, greatest difference {found.difference:.1e} "
            f"of logits up to {found.magnitude:.2g}\n"
        )
    problem = tensorrt_problem()
    if problem and not given.no_tensorrt:
        sys.stdout.write(f"model_trt.ts: left out, {problem}\n")
    sys.stdout.write(f"written: {target}\n")
