"""Building blocks that the encoders and decoders share; each stands here once."""

from __future__ import annotations

from .attention import SpatialReductionAttention, attend, check_heads
from .conv import conv_norm
from .feed_forward import FeedForward, MixFeedForward
from .fusion import ResizeConcat, ResizeConcatConv, resize
from .patch_embed import OverlapPatchEmbed, PatchEmbed
from .tokens import to_map, to_tokens

__all__ = [
    "FeedForward",
    "MixFeedForward",
    "OverlapPatchEmbed",
    "PatchEmbed",
    "ResizeConcat",
    "ResizeConcatConv",
    "SpatialReductionAttention",
    "attend",
    "check_heads",
    "conv_norm",
    "resize",
    "to_map",
    "to_tokens",
]
