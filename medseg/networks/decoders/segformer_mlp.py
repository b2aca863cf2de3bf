"""SD, the simple decoder: the all-MLP head of SegFormer.

Paper: Xie et al., SegFormer: Simple and Efficient Design for Semantic Segmentation with Transformers, NeurIPS 2021,
https://arxiv.org/abs/2105.15203, section 3.2, equation 4.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from medseg.networks.decoders.decoder import AlignedDecoder
from medseg.networks.layers.fusion import ResizeConcatConv
from medseg.networks.layers.tokens import to_map, to_tokens


class PixelLinear(nn.Linear):
    """A linear layer on each pixel: `[B, in_features, H, W]` to `[B, out_features, H, W]`."""

    def forward(self, x: Tensor) -> Tensor:
        """Apply the layer; height and width stay."""
        height, width = x.shape[2], x.shape[3]
        return to_map(nn.functional.linear(to_tokens(x), self.weight, self.bias), height, width)


class SegformerMLPDecoder(AlignedDecoder):
    """A linear layer on each level, all levels at the finest size, one 1 x 1 convolution over all, prediction.

    Args beside those of `Decoder`:
        align_corners: corner convention in which the logits must be resized to the image.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        out_channels: int,
        channels: int = 768,
        dropout: float = 0.1,
        align_corners: bool = True,
    ) -> None:
        embed = (PixelLinear(level, channels) for level in in_channels)
        fuse = ResizeConcatConv(channels, len(in_channels), channels)
        super().__init__(embed, fuse, nn.Conv2d(channels, out_channels, 1), dropout, align_corners)
