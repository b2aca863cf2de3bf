"""PLD, the Progressive Locality Decoder of SSFormer.

Paper: Wang et al., Stepwise Feature Fusion: Local Guides Global, MICCAI 2022, https://arxiv.org/abs/2203.03635,
section 2.2: local emphasis (two 3 x 3 convolutions per level) and stepwise feature aggregation, coarse to fine.
"""

from collections.abc import Sequence

import torch
from torch import nn

from medseg.networks.decoders.decoder import Decoder
from medseg.networks.layers.fusion import ResizeConcatConv

__all__ = ["ProgressiveLocalityDecoder"]


class ProgressiveLocalityDecoder(Decoder):
    """Local emphasis of each level, then fusion of the running map into each finer level, at the finest size.

    The arguments are those of `Decoder`.
    """

    align_corners = True

    def __init__(
        self, in_channels: Sequence[int], out_channels: int, channels: int = 256, dropout: float = 0.1
    ) -> None:
        super().__init__()
        self.embed = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(level, channels, 3, padding=1, bias=False),
                nn.ReLU(inplace=True),
                nn.Conv2d(channels, channels, 3, padding=1, bias=False),
                nn.ReLU(inplace=True),
            )
            for level in in_channels
        )
        self.fuse = nn.ModuleList(ResizeConcatConv(channels, 2, channels) for _ in in_channels[1:])
        self.dropout = nn.Dropout(dropout)
        self.pred = nn.Conv2d(channels, out_channels, 1)

    def forward(self, maps: list[torch.Tensor]) -> list[torch.Tensor]:
        """Maps, fine to coarse, to one map of logits `[B, out_channels, h, w]` at the size of the finest."""
        height, width = maps[0].shape[2], maps[0].shape[3]
        levels: list[torch.Tensor] = []
        for i, embed in enumerate(self.embed):
            levels.append(embed(maps[i]))
        # fuse[0] merges the two coarsest levels, each further one the next finer level
        x = levels[-1]
        for i, fuse in enumerate(self.fuse):
            x = fuse([x, levels[-2 - i]], height, width)
        return [self.pred(self.dropout(x))]
