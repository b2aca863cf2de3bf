"""CvT, the Convolutional vision Transformer.

Paper: Wu et al., CvT: Introducing Convolutions to Vision Transformers, ICCV 2021, https://arxiv.org/abs/2103.15808,
sections 3.1 and 3.2 and table 2. Written from the paper, without the class token; the published weights are under MIT.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from medseg.networks.encoders.pyramid import TransformerPyramid, drop_path_rates
from medseg.networks.layers.attention import attend, check_heads
from medseg.networks.layers.conv import conv_norm
from medseg.networks.layers.feed_forward import FeedForward
from medseg.networks.layers.patch_embed import OverlapPatchEmbed
from medseg.networks.layers.tokens import to_map, to_tokens

_CHANNELS = (64, 192, 384)
_HEADS = (1, 3, 6)
_MLP_RATIO = 4


class ConvolutionalAttention(nn.Module):
    """Attention whose queries, keys and values each pass a depth-wise 3 x 3 convolution and batch norm first.

    Keys and values are taken at every second pixel. The scores are scaled by the full width, not by that of a head,
    as published.
    """

    def __init__(self, channels: int, num_heads: int) -> None:
        super().__init__()
        check_heads(channels, num_heads)
        self.num_heads = num_heads
        self.scale = channels**-0.5
        self.conv_q = nn.Sequential(*conv_norm(channels, channels, 3, groups=channels))
        self.conv_k = nn.Sequential(*conv_norm(channels, channels, 3, stride=2, groups=channels))
        self.conv_v = nn.Sequential(*conv_norm(channels, channels, 3, stride=2, groups=channels))
        self.q = nn.Linear(channels, channels)
        self.k = nn.Linear(channels, channels)
        self.v = nn.Linear(channels, channels)
        self.proj = nn.Linear(channels, channels)

    def forward(self, x: Tensor, height: int, width: int) -> Tensor:
        """Tokens `[B, height * width, channels]` to tokens of the same shape."""
        x = to_map(x, height, width)
        q, k = self.q(to_tokens(self.conv_q(x))), self.k(to_tokens(self.conv_k(x)))
        v = self.v(to_tokens(self.conv_v(x)))
        return self.proj(attend(q, k, v, self.num_heads, self.scale))


class ConvolutionalVisionTransformer(TransformerPyramid):
    """Three stages of overlapping patch embedding and blocks of convolutional attention, without a stage norm.

    Stochastic depth grows in the last stage only and is 0 before.
    """

    def __init__(self, in_channels: int = 3, depths: Sequence[int] = (1, 4, 16), drop_path: float = 0.1) -> None:
        incoming = (in_channels, *_CHANNELS)

        def patch_embed(i: int) -> OverlapPatchEmbed:
            # the first padding is one pixel short of symmetric, as published
            stride, padding = (4, 2) if i == 0 else (2, 1)
            return OverlapPatchEmbed(incoming[i], _CHANNELS[i], stride, padding)

        super().__init__(
            _CHANNELS,
            [[0.0] * depth for depth in depths[:-1]] + drop_path_rates(drop_path, depths[-1:]),
            patch_embed,
            attention=lambda i: ConvolutionalAttention(_CHANNELS[i], _HEADS[i]),
            feed_forward=lambda i: FeedForward(_CHANNELS[i], _MLP_RATIO * _CHANNELS[i]),
            stage_norm=False,
            norm_eps=1e-5,
        )
