"""MLA, multi-level feature aggregation.

Paper: Zheng et al., Rethinking Semantic Segmentation from a Sequence-to-Sequence Perspective with Transformers
(SETR), CVPR 2021, https://arxiv.org/abs/2012.15840, section 3.3; in the form that the SSFormer study gives it.
"""

from collections.abc import Sequence

from torch import nn

from medseg.networks.decoders.decoder import AlignedDecoder
from medseg.networks.layers.conv import conv_norm
from medseg.networks.layers.fusion import ResizeConcat, ResizeConcatConv


class MultiLevelAggregationDecoder(AlignedDecoder):
    """Two 3 x 3 convolutions on each level, all levels at the finest size, concatenation, prediction.

    Args beside those of `Decoder`:
        fuse: merge the concatenated levels by a 1 x 1 convolution and predict from each pixel, instead of predicting
            from all levels by a 3 x 3 convolution.
        level_align_corners: corner convention in which the levels are resized to the finest.
        align_corners: corner convention in which the logits must be resized to the image.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        out_channels: int,
        channels: int = 128,
        dropout: float = 0.1,
        fuse: bool = False,
        level_align_corners: bool = False,
        align_corners: bool = False,
    ) -> None:
        levels = len(in_channels)
        if fuse:
            fusion: nn.Module = ResizeConcatConv(channels, levels, channels, level_align_corners)
            pred = nn.Conv2d(channels, out_channels, 1)
        else:
            fusion = ResizeConcat(level_align_corners)
            pred = nn.Conv2d(levels * channels, out_channels, 3, padding=1)
        embed = (
            nn.Sequential(*conv_norm(level, channels, 3, relu=True), *conv_norm(channels, channels, 3, relu=True))
            for level in in_channels
        )
        super().__init__(embed, fusion, pred, dropout, align_corners)
