"""Decoders by name. A new one is a file here and a line in `DECODERS`."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from medseg.errors import InputError
from medseg.networks.decoders.decoder import Decoder
from medseg.networks.decoders.mla import MultiLevelAggregationDecoder
from medseg.networks.decoders.pld import ProgressiveLocalityDecoder
from medseg.networks.decoders.ppd import PolypDecoder
from medseg.networks.decoders.pup import ProgressiveUpsamplingDecoder
from medseg.networks.decoders.segformer_mlp import SegformerMLPDecoder

__all__ = ["DECODERS", "build_decoder"]

DECODERS: dict[str, Callable[..., Decoder]] = {
    "pld": ProgressiveLocalityDecoder,
    "simple": SegformerMLPDecoder,
    "mla": MultiLevelAggregationDecoder,
    "pup": ProgressiveUpsamplingDecoder,
    "ppd": PolypDecoder,
}


def build_decoder(
    name: str,
    in_channels: Sequence[int],
    out_channels: int,
    channels: int | None = None,
    dropout: float = 0.1,
    options: Mapping[str, Any] | None = None,
) -> Decoder:
    """The decoder called `name`, a key of `DECODERS`, randomly initialized. Another name is an `InputError`.

    The arguments are those of `Decoder`; `None` as `channels` is the published width of this decoder, `options` are
    further arguments of its class.
    """
    if name not in DECODERS:
        raise InputError(f"decoder must be one of {', '.join(DECODERS)}, got '{name}'.")
    arguments = dict(options or {}, dropout=dropout)
    if channels is not None:
        arguments["channels"] = channels
    return DECODERS[name](in_channels, out_channels, **arguments)
