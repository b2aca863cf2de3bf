"""Pyramid encoders by name. A new one is a file here and a line in `ENCODERS`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from .mit import MixTransformer
from .pyramid import PyramidEncoder

__all__ = ["ENCODERS", "MixTransformer", "PyramidEncoder", "build_encoder"]

ENCODERS: dict[str, Callable[..., PyramidEncoder]] = {
    "mit_b0": partial(MixTransformer, channels=(32, 64, 160, 256), depths=(2, 2, 2, 2)),
    "mit_b1": partial(MixTransformer, depths=(2, 2, 2, 2)),
    "mit_b2": partial(MixTransformer, depths=(3, 4, 6, 3)),
    "mit_b3": partial(MixTransformer, depths=(3, 4, 18, 3)),
    "mit_b4": partial(MixTransformer, depths=(3, 8, 27, 3)),
    "mit_b5": partial(MixTransformer, depths=(3, 6, 40, 3)),
}


def build_encoder(name: str, in_channels: int = 3, drop_path: float = 0.1) -> PyramidEncoder:
    """The encoder called `name`, randomly initialised.

    Args:
        name: a key of `ENCODERS`.
        in_channels: channels of the image.
        drop_path: stochastic depth of the last block.

    Raises:
        ValueError: if there is no encoder of that name.
    """
    if name not in ENCODERS:
        raise ValueError(f"encoder must be one of {', '.join(ENCODERS)}, got '{name}'.")
    return ENCODERS[name](in_channels=in_channels, drop_path=drop_path)
