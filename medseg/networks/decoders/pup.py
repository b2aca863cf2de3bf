"""PUP, progressive upsampling of the coarsest level.

Paper: Zheng et al., Rethinking Semantic Segmentation from a Sequence-to-Sequence Perspective with Transformers
(SETR), CVPR 2021, https://arxiv.org/abs/2012.15840, section 3.3.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from medseg.networks.decoders.decoder import Decoder
from medseg.networks.layers.conv import conv_norm
from medseg.networks.layers.fusion import resize


class ProgressiveUpsamplingDecoder(Decoder):
    """Four times a 3 x 3 convolution of the coarsest level and a resize to twice the size; the last is of the logits.

    Args beside those of `Decoder`:
        square: make every map as high as it is wide. A fault of the published code, which is harmless for square
            images and bends others; only for weights that were trained so.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        out_channels: int,
        channels: int = 256,
        dropout: float = 0.1,
        square: bool = False,
    ) -> None:
        super().__init__()
        self.square = square
        self.convs = nn.ModuleList(
            nn.Sequential(*conv_norm(width, channels, 3, bias=True, relu=True))
            for width in (in_channels[-1], channels, channels, channels)
        )
        self.dropout = nn.Dropout(dropout)
        self.pred = nn.Conv2d(channels, out_channels, 1)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Maps, fine to coarse, to one map of logits `[B, out_channels, 16 h, 16 w]` for a coarsest of `h` x `w`."""
        x = maps[-1]
        last = len(self.convs) - 1
        for i, conv in enumerate(self.convs):
            x = conv(x)
            if i == last:
                x = self.pred(self.dropout(x))
            x = resize(x, 2 * (x.shape[3] if self.square else x.shape[2]), 2 * x.shape[3])
        return [x]
