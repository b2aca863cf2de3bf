"""`medseg convert`: published weights to a bundle's model.pt."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medseg.cli.inspect import tell_conversion

if TYPE_CHECKING:
    from medseg.networks.checkpoints.recognize import Recognition

__all__ = ["add_convert"]


def add_convert(commands: Any) -> None:
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

    from medseg.files import atomic_write
    from medseg.networks.checkpoints.hub import find_weights
    from medseg.networks.checkpoints.recognize import convert_file

    if given.to.exists() and not given.overwrite:
        raise FileExistsError(f"'{given.to}' exists already: move it, or pass --overwrite.")
    path = find_weights(given.source)
    conversion, recognition = convert_file(path, given.encoder_only)
    tell_conversion(path, conversion, recognition)
    with atomic_write(given.to) as temporary:
        torch.save(conversion.state_dict, temporary)
    sys.stdout.write(f"written: {given.to}\n{_advice(given.to, recognition)}\n")


def _advice(path: Path, recognition: "Recognition") -> str:
    """What to add to a bundle's command line."""
    arguments = recognition.arguments
    if "decoder" not in arguments:
        return f"to train from it: --encoder {arguments['encoder']} --pretrained {path}"
    names = ("encoder", "decoder", "decoder_channels")
    advice = "to use it: " + " ".join(f"--{name} {arguments[name]}" for name in names)
    options = arguments["decoder_options"]
    return advice + (f' --network_def::decoder_options "{options}"' if options else "")
