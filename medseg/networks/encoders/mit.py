"""MiT, the Mix Transformer of SegFormer, and PVT v2, which is the same network with wider Mix-FFNs.

Papers: Xie et al., SegFormer: Simple and Efficient Design for Semantic Segmentation with Transformers, NeurIPS 2021,
https://arxiv.org/abs/2105.15203, section 3.1 and table 6; Wang et al., PVT v2: Improved Baselines with Pyramid Vision
Transformer, CVMJ 2022, https://arxiv.org/abs/2106.13797, table 1. Written from the papers; the ImageNet weights that
NVIDIA published for MiT are for non-commercial use, those of PVT v2 are under Apache-2.0.
"""

from collections.abc import Sequence

from torch import nn

from medseg.networks.encoders.pyramid import STRIDES, Block, PyramidEncoder, Stage, drop_path_rates
from medseg.networks.layers.attention import SpatialReductionAttention
from medseg.networks.layers.feed_forward import MixFeedForward
from medseg.networks.layers.patch_embed import OverlapPatchEmbed

__all__ = ["MixTransformer"]


class MixTransformer(PyramidEncoder):
    """Four stages of overlapping patch embedding and blocks of spatially reduced attention and Mix-FFN.

    Args:
        in_channels: channels of the image.
        channels: width of each stage.
        depths: number of blocks of each stage.
        num_heads: attention heads of each stage.
        reductions: factor by which keys and values are reduced on each side, of each stage.
        mlp_ratios: width of the Mix-FFN over the width of the stage, of each stage.
        drop_path: stochastic depth of the last block; grows linearly from 0 at the first.
    """

    def __init__(
        self,
        in_channels: int = 3,
        channels: Sequence[int] = (64, 128, 320, 512),
        depths: Sequence[int] = (3, 4, 6, 3),
        num_heads: Sequence[int] = (1, 2, 5, 8),
        reductions: Sequence[int] = (8, 4, 2, 1),
        mlp_ratios: Sequence[int] = (4, 4, 4, 4),
        drop_path: float = 0.1,
    ) -> None:
        rates = drop_path_rates(drop_path, depths)
        incoming = (in_channels, *channels)
        stages = [
            Stage(
                OverlapPatchEmbed(incoming[i], width, stride=4 if i == 0 else 2),
                [
                    Block(
                        width,
                        SpatialReductionAttention(width, num_heads[i], reductions[i]),
                        MixFeedForward(width, mlp_ratios[i] * width),
                        rate,
                    )
                    for rate in rates[i]
                ],
                nn.LayerNorm(width, eps=1e-6),
            )
            for i, width in enumerate(channels)
        ]
        super().__init__(stages, out_channels=channels, strides=STRIDES)
