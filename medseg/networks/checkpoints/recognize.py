import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from os import PathLike
from typing import Any

import torch
from torch import Tensor, nn

from medseg.errors import InputError
from medseg.networks.checkpoints.convert import Conversion, convert_state_dict
from medseg.networks.checkpoints.load import compare
from medseg.networks.checkpoints.read import read_state_dict
from medseg.networks.decoders import build_decoder
from medseg.networks.encoders import ENCODERS, build_encoder
from medseg.networks.variants import published_decoder_options

# under our names: a key that only this decoder has, and the one whose first axis is the decoder's width
_DECODER_KEYS = {
    "ppd": (r"^decoder\.fusion\.", "decoder.embed.0.0.weight"),
    "pup": (r"^decoder\.convs\.", "decoder.convs.0.0.weight"),
    "mla": (r"^decoder\.embed\.0\.1\.running_mean$", "decoder.embed.0.0.weight"),
    "simple": (r"^decoder\.embed\.0\.weight$", "decoder.embed.0.weight"),
    "pld": (r"^decoder\.embed\.0\.2\.weight$", "decoder.embed.0.0.weight"),
}


@dataclass
class Recognition:
    """The network that the weights fit best."""

    arguments: dict[str, Any]  # of `SSFormer`; without `decoder` for an encoder alone
    problems: list[str]  # the reasons why the weights cannot be loaded into it; empty if there are none


def convert_file(path: str | PathLike[str], encoder_only: bool = False) -> tuple[Conversion, Recognition]:
    """Read a weight file of any known kind and rename its keys to ours, without the decoder if `encoder_only`.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if the file cannot be read, or holds no known encoder.
    """
    conversion = convert_state_dict(read_state_dict(path))
    if encoder_only:
        dropped = {key for key in conversion.state_dict if key.startswith("decoder.")}
        conversion.state_dict = {k: v for k, v in conversion.state_dict.items() if k not in dropped}
        left = {key: "only the encoder was asked for" for key, name in conversion.renamed.items() if name in dropped}
        conversion.dropped.update(left)
        conversion.renamed = {key: name for key, name in conversion.renamed.items() if key not in left}
    try:
        return conversion, recognize(conversion)
    except InputError as error:
        raise InputError(f"'{path}' {error}") from error


def recognize(conversion: Conversion) -> Recognition:
    """The encoder and decoder that the converted weights fit best, an `InputError` if they hold no known encoder.

    MiT-b5 and PVT v2 b5 are the same network, which is called `mit_b5`.
    """
    weights = conversion.state_dict
    first = [key for key in weights if re.search(r"^encoder\.stages\.0\.(patch_embed\.proj|stem)\.(0\.)?weight$", key)]
    if not conversion.sources or not first or weights[first[0]].ndim != 4:
        keys = ", ".join(list(conversion.renamed)[:3]) or "none that matter"
        raise InputError(f"holds no encoder that medseg knows, see `medseg.networks.ENCODERS`; its first keys: {keys}.")
    in_channels = weights[first[0]].shape[1]
    match_ratio: dict[str, float] = {}
    for encoder in ENCODERS:
        match_ratio[encoder] = _match_ratio(_encoder_weights(encoder, in_channels), weights)
        if match_ratio[encoder] == 1:
            break
    encoder = max(match_ratio, key=match_ratio.__getitem__)
    wanted = dict(_encoder_weights(encoder, in_channels))
    if match_ratio[encoder] < 0.5:
        raise InputError(f"holds an encoder that medseg does not know; the nearest is {encoder}.")
    arguments: dict[str, Any] = {"encoder": encoder, "in_channels": in_channels}
    if any(key.startswith("decoder.") for key in weights):
        arguments.update(_decoder_arguments(conversion, encoder))
        wanted.update(_decoder_weights(arguments))
    return Recognition(arguments, compare(wanted, weights))


def _decoder_arguments(conversion: Conversion, encoder: str) -> dict[str, Any]:
    weights = conversion.state_dict
    decoders = [
        name
        for name, (signature, widest) in _DECODER_KEYS.items()
        if widest in weights and any(re.search(signature, key) for key in weights)
    ]
    if not decoders:
        raise InputError("holds a decoder that medseg does not know, see `medseg.networks.DECODERS`.")
    decoder = decoders[0]
    options: dict[str, Any] = {}
    for source in conversion.sources:
        options.update(published_decoder_options(encoder, decoder) if source.published else source.decoder_options)
    if decoder == "mla":
        options["fuse"] = "decoder.fuse.conv.weight" in weights
    heads = [key for key in weights if re.search(r"^decoder\.pred\w*\.weight$", key)]
    return {
        "decoder": decoder,
        "out_channels": weights[heads[0]].shape[0] if heads else 1,
        "decoder_channels": weights[_DECODER_KEYS[decoder][1]].shape[0],
        "decoder_options": options,
    }


@cache
def _encoder_weights(name: str, in_channels: int) -> Mapping[str, Tensor]:
    """Names and shapes of an encoder's weights, on the meta device."""
    with torch.device("meta"):
        return _below("encoder", build_encoder(name, in_channels))


def _decoder_weights(arguments: Mapping[str, Any]) -> Mapping[str, Tensor]:
    name, width, options = (arguments[key] for key in ("decoder", "decoder_channels", "decoder_options"))
    with torch.device("meta"):
        levels = build_encoder(arguments["encoder"]).out_channels
        return _below("decoder", build_decoder(name, levels, arguments["out_channels"], width, options=options))


def _below(name: str, module: nn.Module) -> dict[str, Tensor]:
    return {f"{name}.{key}": tensor for key, tensor in module.state_dict().items()}


def _match_ratio(wanted: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> float:
    """Share of the encoder's names, in either, that have the same shape in both."""
    names = {key for key in given if key.startswith("encoder.")} | wanted.keys()
    return sum(key in given and key in wanted and given[key].shape == wanted[key].shape for key in names) / len(names)
