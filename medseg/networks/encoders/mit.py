"""MiT, the Mix Transformer of SegFormer, and PVT v2, which is the same network with wider Mix-FFNs.

Papers: Xie et al., SegFormer: Simple and Efficient Design for Semantic Segmentation with Transformers, NeurIPS 2021,
https://arxiv.org/abs/2105.15203, section 3.1 and table 6; Wang et al., PVT v2: Improved Baselines with Pyramid Vision
Transformer, CVMJ 2022, https://arxiv.org/abs/2106.13797, table 1. Written from the papers; the ImageNet weights that
NVIDIA published for MiT are for non-commercial use, those of PVT v2 are under Apache-2.0.
"""

from collections.abc import Sequence

from medseg.networks.encoders.pyramid import TransformerPyramid, drop_path_rates
from medseg.networks.layers.attention import SpatialReductionAttention
from medseg.networks.layers.feed_forward import MixFeedForward
from medseg.networks.layers.patch_embed import OverlapPatchEmbed

_HEADS = (1, 2, 5, 8)
_REDUCTIONS = (8, 4, 2, 1)


class MixTransformer(TransformerPyramid):
    """Four stages of overlapping patch embedding and blocks of spatially reduced attention and Mix-FFN.

    Args beside those of every family:
        channels: width of each stage.
        mlp_ratios: width of the Mix-FFN over the width of the stage, of each stage.
    """

    def __init__(
        self,
        in_channels: int = 3,
        channels: Sequence[int] = (64, 128, 320, 512),
        depths: Sequence[int] = (3, 4, 6, 3),
        mlp_ratios: Sequence[int] = (4, 4, 4, 4),
        drop_path: float = 0.1,
    ) -> None:
        incoming = (in_channels, *channels)
        super().__init__(
            channels,
            drop_path_rates(drop_path, depths),
            patch_embed=lambda i: OverlapPatchEmbed(incoming[i], channels[i], stride=4 if i == 0 else 2),
            attention=lambda i: SpatialReductionAttention(channels[i], _HEADS[i], _REDUCTIONS[i]),
            feed_forward=lambda i: MixFeedForward(channels[i], mlp_ratios[i] * channels[i]),
        )
