"""MiT, the Mix Transformer of SegFormer.

Paper: Xie et al., SegFormer: Simple and Efficient Design for Semantic Segmentation with Transformers, NeurIPS 2021,
https://arxiv.org/abs/2105.15203, section 3.1 and table 6. Written from the paper; the ImageNet weights that NVIDIA
published for it are for non-commercial use.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from ..layers import MixFeedForward, PatchEmbed, SpatialReductionAttention
from .pyramid import Block, PyramidEncoder, Stage, drop_path_rates

__all__ = ["MixTransformer"]


class MixTransformer(PyramidEncoder):
    """Four stages of overlapping patch embedding and blocks of spatially reduced attention and Mix-FFN.

    Args:
        in_channels: channels of the image.
        channels: width of each stage.
        depths: number of blocks of each stage.
        num_heads: attention heads of each stage.
        reductions: how many times keys and values are reduced on each side, of each stage.
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
        stages = []
        for i, width in enumerate(channels):
            first = i == 0
            stages.append(
                Stage(
                    PatchEmbed(
                        in_channels if first else channels[i - 1],
                        width,
                        kernel_size=7 if first else 3,
                        stride=4 if first else 2,
                        padding=3 if first else 1,
                    ),
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
            )
        super().__init__(stages, out_channels=channels, strides=(4, 8, 16, 32))
