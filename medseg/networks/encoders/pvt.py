"""PVT, the first Pyramid Vision Transformer (for PVT v2 see `mit.py`).

Paper: Wang et al., Pyramid Vision Transformer: A Versatile Backbone for Dense Prediction without Convolutions,
ICCV 2021, https://arxiv.org/abs/2102.12122, section 3 and table 1. Written from the paper; the published weights are
under Apache-2.0.
"""

from collections.abc import Sequence

import torch
from monai.networks.layers import trunc_normal_
from torch import nn

from medseg.networks.encoders.pyramid import STRIDES, Block, PyramidEncoder, Stage, drop_path_rates
from medseg.networks.layers.attention import SpatialReductionAttention
from medseg.networks.layers.feed_forward import FeedForward
from medseg.networks.layers.fusion import resize
from medseg.networks.layers.patch_embed import PatchEmbed
from medseg.networks.layers.tokens import to_map, to_tokens

__all__ = ["PositionedPatchEmbed", "PyramidVisionTransformer"]


class PositionedPatchEmbed(PatchEmbed):
    """Patches without overlap, plus a learned table of positions that is resized to the map (bilinear).

    Args:
        in_channels: channels of the incoming map.
        out_channels: channels of the tokens.
        patch_size: side of a patch in pixels of the incoming map.
        grid_size: side of the table in tokens.
    """

    def __init__(self, in_channels: int, out_channels: int, patch_size: int, grid_size: int) -> None:
        super().__init__(in_channels, out_channels, patch_size, patch_size, padding=0)
        self.grid_size = grid_size
        self.pos_embed = nn.Parameter(torch.zeros(1, grid_size**2, out_channels))
        trunc_normal_(self.pos_embed, std=0.02)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, int, int]:
        """Map `[B, in_channels, H, W]` to tokens `[B, h * w, out_channels]`, and `h` and `w`."""
        x = self.proj(x)
        height, width = x.shape[2], x.shape[3]
        position = to_tokens(resize(to_map(self.pos_embed, self.grid_size, self.grid_size), height, width))
        return self.norm(to_tokens(x)) + position, height, width


class PyramidVisionTransformer(PyramidEncoder):
    """Four stages of positioned patch embedding and blocks of spatially reduced attention, without a stage norm.

    The published code does not resize a table if the map has as many tokens as the first table, and fails at 448 x 448;
    here each table is compared with its own map.

    Args, in addition to those of `MixTransformer`:
        image_size: side of the square images, in pixels, that the tables of positions are stored for.
    """

    def __init__(
        self,
        in_channels: int = 3,
        channels: Sequence[int] = (64, 128, 320, 512),
        depths: Sequence[int] = (3, 4, 6, 3),
        num_heads: Sequence[int] = (1, 2, 5, 8),
        reductions: Sequence[int] = (8, 4, 2, 1),
        mlp_ratios: Sequence[int] = (8, 8, 4, 4),
        drop_path: float = 0.1,
        image_size: int = 224,
    ) -> None:
        rates = drop_path_rates(drop_path, depths)
        incoming = (in_channels, *channels)
        stages = [
            Stage(
                PositionedPatchEmbed(incoming[i], width, 4 if i == 0 else 2, image_size // STRIDES[i]),
                [
                    Block(
                        width,
                        SpatialReductionAttention(width, num_heads[i], reductions[i]),
                        FeedForward(width, mlp_ratios[i] * width),
                        rate,
                    )
                    for rate in rates[i]
                ],
            )
            for i, width in enumerate(channels)
        ]
        super().__init__(stages, out_channels=channels, strides=STRIDES)
