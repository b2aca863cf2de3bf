"""The command line, `python -m medseg` or `medseg`: one function per command, each a thin layer over the package."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .commands.label import add_label
from .commands.run import add_run
from .commands.values import add_set_option, parse_values

if TYPE_CHECKING:
    from .networks.checkpoints import Conversion, Recognition

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: the command line without the program; that of this process if None.

    Returns:
        The exit status: 0, or 1 after an error, which is told in one sentence on the standard error, or 130 after
        Ctrl-C.
    """
    parser = argparse.ArgumentParser(prog="medseg", description="SSFormer and MS-Former for medical images.")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for add in _COMMANDS:
        add(commands)
    given = parser.parse_args(arguments)
    try:
        given.run(given)
    except (OSError, ValueError) as error:
        sys.stderr.write(f"Error: {error}\n")
        return 1
    except KeyboardInterrupt as interrupt:
        sys.stderr.write(f"\n{str(interrupt) or 'Interrupted.'}\n")
        # when Ctrl-C has come out of an `eval` of text, as in MONAI's configs, Python would end the process by SIGINT,
        # whatever the status, unless another `eval` followed
        eval("None")
        return 130
    return 0


def _add_convert(commands: Any) -> None:
    parser = commands.add_parser(
        "convert", help="turn published weights of an SSFormer, or of its encoder, into a bundle's model.pt"
    )
    parser.add_argument("source", metavar="SRC", help="weight file, or a name that can be downloaded, as pvt_v2_b2")
    parser.add_argument("--to", type=Path, required=True, metavar="FILE", help="file to write, as models/model.pt")
    parser.add_argument("--encoder-only", action="store_true", help="leave a decoder in the file behind")
    parser.add_argument("--overwrite", action="store_true", help="replace FILE if there is one")
    parser.set_defaults(run=_convert)


def _convert(given: argparse.Namespace) -> None:
    import torch

    from .data.atomic import replace_when_done
    from .networks.checkpoints import convert_file, find_weights

    if given.to.exists() and not given.overwrite:
        raise FileExistsError(f"'{given.to}' exists already: move it, or pass --overwrite.")
    path = find_weights(given.source)
    conversion, recognition = convert_file(path, given.encoder_only)
    _tell(path, conversion, recognition)
    with replace_when_done(given.to) as temporary:
        torch.save(conversion.state_dict, temporary)
    sys.stdout.write(f"written: {given.to}\n{_advice(given.to, recognition)}\n")


def _add_inspect(commands: Any) -> None:
    parser = commands.add_parser("inspect", help="tell what a weight file holds and what `convert` would make of it")
    parser.add_argument("source", metavar="SRC", help="weight file, or a name that can be downloaded, as pvt_v2_b2")
    parser.add_argument("--encoder-only", action="store_true", help="leave a decoder in the file behind")
    parser.set_defaults(run=_inspect)


def _inspect(given: argparse.Namespace) -> None:
    from .networks.checkpoints import convert_file, find_weights

    path = find_weights(given.source)
    _tell(path, *convert_file(path, given.encoder_only))


def _tell(path: Path, conversion: Conversion, recognition: Recognition) -> None:
    """Print the account of a conversion; raise a ValueError if something in it is unexplained."""
    network = ", ".join(f"{name} {value}" for name, value in recognition.arguments.items())
    lines = [
        f"source: {path}",
        f"kind: {' and '.join(source.name for source in conversion.sources)}",
        f"network: {network}" + ("" if "decoder" in recognition.arguments else " (the encoder alone)"),
        f"mapped: {len(conversion.renamed)} keys",
        f"ignored by rule: {len(conversion.left_behind)} keys",
        *(f"  {count} {reason}" for reason, count in Counter(conversion.left_behind.values()).items()),
        *(recognition.problems or ["missing or left over: none"]),
    ]
    sys.stdout.write("\n".join(lines) + "\n")
    if recognition.problems:
        raise ValueError(
            f"'{path}' does not explain itself as {recognition.arguments['encoder']} in full, "
            f"nothing was written: {'; '.join(recognition.problems)}."
        )


def _advice(path: Path, recognition: Recognition) -> str:
    """What to add to a bundle's command line."""
    arguments = recognition.arguments
    if "decoder" not in arguments:
        return f"to train from it: --encoder {arguments['encoder']} --pretrained {path}"
    names = ("encoder", "decoder", "decoder_channels")
    advice = "to use it: " + " ".join(f"--{name} {arguments[name]}" for name in names)
    options = arguments["decoder_options"]
    return advice + (f' --network_def::decoder_options "{options}"' if options else "")


def _add_export(commands: Any) -> None:
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
    from .export import export_bundle
    from .tensorrt import tensorrt_problem

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


def _add_report(commands: Any) -> None:
    parser = commands.add_parser("report", help="write report.html, one page about a results folder, into that folder")
    parser.add_argument("output_dir", type=Path, metavar="OUTPUT_DIR", help="output_dir of inference or evaluation")
    parser.set_defaults(run=_report)


def _report(given: argparse.Namespace) -> None:
    from .report import write_report

    sys.stdout.write(f"written: {write_report(given.output_dir)}\n")


_COMMANDS: tuple[Callable[[Any], None], ...] = (
    add_run,
    _add_convert,
    _add_inspect,
    _add_export,
    _add_report,
    add_label,
)
