"""Decoders by name. A new one is a file here and a line in `DECODERS`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .align import AlignedDecoder
from .decoder import Decoder
from .mla import MultiLevelAggregationDecoder
from .pld import ProgressiveLocalityDecoder
from .ppd import PolypDecoder
from .pup import ProgressiveUpsamplingDecoder
from .simple import SimpleDecoder

__all__ = [
    "DECODERS",
    "AlignedDecoder",
    "Decoder",
    "MultiLevelAggregationDecoder",
    "PolypDecoder",
    "ProgressiveLocalityDecoder",
    "ProgressiveUpsamplingDecoder",
    "SimpleDecoder",
    "build_decoder",
]

DECODERS: dict[str, Callable[..., Decoder]] = {
    "pld": ProgressiveLocalityDecoder,
    "simple": SimpleDecoder,
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
    """The decoder called `name`, randomly initialised.

    Args:
        name: a key of `DECODERS`.
        in_channels: channels of the encoder's maps, fine to coarse.
        out_channels: channels of the logits.
        channels: width of the decoder; `None` for the published width of this decoder.
        dropout: dropout before the last convolution.
        options: further arguments of this decoder's class.

    Raises:
        ValueError: if there is no decoder of that name, or it cannot work on so many levels.
    """
    if name not in DECODERS:
        raise ValueError(f"decoder must be one of {', '.join(DECODERS)}, got '{name}'.")
    arguments = dict(options or {}, dropout=dropout)
    if channels is not None:
        arguments["channels"] = channels
    return DECODERS[name](in_channels, out_channels, **arguments)
