"""PVT, the first Pyramid Vision Transformer (for PVT v2 see `mit.py`).

Paper: Wang et al., Pyramid Vision Transformer: A Versatile Backbone for Dense Prediction without Convolutions,
ICCV 2021, https://arxiv.org/abs/2102.12122, section 3 and table 1. Written from the paper; the published weights are
under Apache-2.0.
"""

from collections.abc import Sequence

import torch
from monai.networks.layers import trunc_normal_
from torch import Tensor, nn

from medseg.networks.encoders.pyramid import STRIDES, TransformerPyramid, drop_path_rates
from medseg.networks.layers.attention import SpatialReductionAttention
from medseg.networks.layers.feed_forward import FeedForward
from medseg.networks.layers.fusion import resize
from medseg.networks.layers.patch_embed import PatchEmbed
from medseg.networks.layers.tokens import to_map, to_tokens

_CHANNELS = (64, 128, 320, 512)
_HEADS = (1, 2, 5, 8)
_REDUCTIONS = (8, 4, 2, 1)
_MLP_RATIOS = (8, 8, 4, 4)
_IMAGE_SIZE = 224  # side of the square images that the tables of positions are stored for


class PositionedPatchEmbed(PatchEmbed):
    """Patches side by side, plus a table of `grid_size` x `grid_size` learned positions, resized to the map."""

    def __init__(self, in_channels: int, out_channels: int, patch_size: int, grid_size: int) -> None:
        super().__init__(in_channels, out_channels, patch_size, patch_size, padding=0)
        self.grid_size = grid_size
        self.pos_embed = nn.Parameter(torch.zeros(1, grid_size**2, out_channels))
        trunc_normal_(self.pos_embed, std=0.02)

    def forward(self, x: Tensor) -> tuple[Tensor, int, int]:
        """Map `[B, in_channels, H, W]` to tokens `[B, h * w, out_channels]`, and `h` and `w`."""
        x = self.proj(x)
        height, width = x.shape[2], x.shape[3]
        position = to_tokens(resize(to_map(self.pos_embed, self.grid_size, self.grid_size), height, width))
        return self.norm(to_tokens(x)) + position, height, width


class PyramidVisionTransformer(TransformerPyramid):
    """Four stages of positioned patch embedding and blocks of spatially reduced attention, without a stage norm.

    The published code skips the resize of a table wherever a map has as many tokens as the first table, and so
    fails at 448 x 448; here each table is compared with its own map.
    """

    def __init__(self, in_channels: int = 3, depths: Sequence[int] = (3, 4, 6, 3), drop_path: float = 0.1) -> None:
        incoming = (in_channels, *_CHANNELS)
        super().__init__(
            _CHANNELS,
            drop_path_rates(drop_path, depths),
            patch_embed=lambda i: PositionedPatchEmbed(
                incoming[i], _CHANNELS[i], 4 if i == 0 else 2, _IMAGE_SIZE // STRIDES[i]
            ),
            attention=lambda i: SpatialReductionAttention(_CHANNELS[i], _HEADS[i], _REDUCTIONS[i]),
            feed_forward=lambda i: FeedForward(_CHANNELS[i], _MLP_RATIOS[i] * _CHANNELS[i]),
            stage_norm=False,
        )
