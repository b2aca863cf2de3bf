"""Building blocks that encoders and decoders share."""

from medseg.networks.layers.attention import SpatialReductionAttention, attend, check_heads
from medseg.networks.layers.conv import conv_norm
from medseg.networks.layers.feed_forward import FeedForward, MixFeedForward
from medseg.networks.layers.fusion import ResizeConcat, ResizeConcatConv, resize
from medseg.networks.layers.patch_embed import OverlapPatchEmbed, PatchEmbed
from medseg.networks.layers.tokens import to_map, to_tokens

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
