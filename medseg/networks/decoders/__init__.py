"""Decoders by name. A new one is a file here and a line in `DECODERS`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .decoder import Decoder
from .pld import ProgressiveLocalityDecoder

__all__ = ["DECODERS", "Decoder", "ProgressiveLocalityDecoder", "build_decoder"]

DECODERS: dict[str, Callable[..., Decoder]] = {
    "pld": ProgressiveLocalityDecoder,
}


def build_decoder(
    name: str, in_channels: Sequence[int], out_channels: int, channels: int = 256, dropout: float = 0.1
) -> Decoder:
    """The decoder called `name`, randomly initialised.

    Args:
        name: a key of `DECODERS`.
        in_channels: channels of the encoder's maps, fine to coarse.
        out_channels: channels of the logits.
        channels: width of the decoder.
        dropout: dropout before the last convolution.

    Raises:
        ValueError: if there is no decoder of that name.
    """
    if name not in DECODERS:
        raise ValueError(f"decoder must be one of {', '.join(DECODERS)}, got '{name}'.")
    return DECODERS[name](in_channels, out_channels, channels=channels, dropout=dropout)
