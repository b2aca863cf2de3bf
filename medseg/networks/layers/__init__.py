"""Building blocks that the encoders and decoders share; each stands here once."""

from __future__ import annotations

from .attention import SpatialReductionAttention
from .fusion import ResizeConcatConv, resize
from .mix_feed_forward import MixFeedForward
from .patch_embed import PatchEmbed
from .tokens import to_map, to_tokens

__all__ = [
    "MixFeedForward",
    "PatchEmbed",
    "ResizeConcatConv",
    "SpatialReductionAttention",
    "resize",
    "to_map",
    "to_tokens",
]
