"""PLD, the Progressive Locality Decoder of SSFormer.

Paper: Wang et al., Stepwise Feature Fusion: Local Guides Global, MICCAI 2022, https://arxiv.org/abs/2203.03635,
section 2.2: local emphasis (two 3 x 3 convolutions per level) and stepwise feature aggregation, coarse to fine.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from medseg.networks.decoders.decoder import AlignedDecoder
from medseg.networks.layers.fusion import ResizeConcatConv


class StepwiseFusion(nn.ModuleList):
    """Merges maps, coarse to fine: the first module the two coarsest, each further one the next finer map."""

    def forward(self, maps: list[Tensor], height: int, width: int) -> Tensor:
        """Maps `[B, channels, h_i, w_i]`, coarse to fine, to `[B, channels, height, width]`."""
        x = maps[0]
        for i, fuse in enumerate(self):
            x = fuse([x, maps[i + 1]], height, width)
        return x


class ProgressiveLocalityDecoder(AlignedDecoder):
    """Local emphasis of each level, then fusion of the running map into each finer level, at the finest size."""

    def __init__(
        self, in_channels: Sequence[int], out_channels: int, channels: int = 256, dropout: float = 0.1
    ) -> None:
        embed = [
            nn.Sequential(
                nn.Conv2d(level, channels, 3, padding=1, bias=False),
                nn.ReLU(inplace=True),
                nn.Conv2d(channels, channels, 3, padding=1, bias=False),
                nn.ReLU(inplace=True),
            )
            for level in in_channels
        ]
        fuse = StepwiseFusion(ResizeConcatConv(channels, 2, channels) for _ in in_channels[1:])
        super().__init__(embed, fuse, nn.Conv2d(channels, out_channels, 1), dropout, align_corners=True)
