"""`medseg convert`: published weights to a bundle's model.pt."""

import argparse
import sys
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medseg.cli.inspect import add_source_options, print_conversion
from medseg.cli.options import add_command

if TYPE_CHECKING:
    from medseg.networks.checkpoints.recognize import Recognition

_NETWORK = ("encoder", "decoder", "decoder_channels", "decoder_options")


def add_convert(commands: Any) -> None:
    """Add the command to the subparsers of the program."""
    parser = add_command(
        commands,
        "convert",
        "turn published weights of an SSFormer, or of its encoder, into a bundle's model.pt",
        "convert ssformer_s.pth --to bundles/ssformer_polyp_segmentation/models/model.pt",
        "convert pvt_v2_b2 --to pvt_v2_b2.pt",
        "convert eval/models/model.pt --to models/model.pt --half",
    )
    add_source_options(parser)
    parser.add_argument("--to", type=Path, required=True, metavar="FILE", help="file to write, as models/model.pt")
    parser.add_argument("--half", action="store_true", help="in float16: half the size; every reader makes it float32")
    parser.add_argument("--overwrite", action="store_true", help="replace FILE if there is one")
    parser.set_defaults(run=_convert)


def _convert(args: argparse.Namespace) -> None:
    import torch

    from medseg.files import atomic_write
    from medseg.networks.checkpoints.hub import find_weights
    from medseg.networks.checkpoints.read import read_facts
    from medseg.networks.checkpoints.recognize import convert_file

    if args.to.exists() and not args.overwrite:
        raise FileExistsError(f"'{args.to}' exists already: move it, or pass --overwrite.")
    path = find_weights(args.source)
    conversion, recognition = convert_file(path, args.encoder_only)
    print_conversion(path, conversion, recognition)
    state_dict = OrderedDict(conversion.state_dict)
    if args.half:  # norms and their statistics are few, and need the range
        state_dict.update({key: value.half() for key, value in state_dict.items() if value.ndim > 1})
    # what the weights must be used with goes along, see `medseg.bundle.ModelFacts`
    known = {name: value for name, value in recognition.arguments.items() if name in _NETWORK}
    state_dict.medseg = read_facts(path) or {"trained_with": known}  # type: ignore[attr-defined]
    with atomic_write(args.to) as temporary:
        torch.save(state_dict, temporary)
    sys.stdout.write(f"written: {args.to}\n{_advice(args.to, recognition)}\n")


def _advice(path: Path, recognition: "Recognition") -> str:
    """What to add to a bundle's command line."""
    arguments = recognition.arguments
    if "decoder" not in arguments:
        return f"to train from it: --encoder {arguments['encoder']} --pretrained {path}"
    names = ("encoder", "decoder", "decoder_channels")
    advice = "to use it: " + " ".join(f"--{name} {arguments[name]}" for name in names)
    options = arguments["decoder_options"]
    return advice + (f' --decoder_options "{options}"' if options else "")
