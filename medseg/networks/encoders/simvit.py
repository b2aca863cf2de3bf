"""SimViT, a pyramid transformer whose tokens attend to their 3 x 3 neighbors.

Paper: Li et al., SimViT: Exploring a Simple Vision Transformer with Sliding Windows, ICME 2022,
https://arxiv.org/abs/2112.13085, section 3. Written from the paper.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from medseg.networks.encoders.pyramid import TransformerPyramid, drop_path_rates
from medseg.networks.layers.attention import SpatialReductionAttention, check_heads
from medseg.networks.layers.feed_forward import MixFeedForward
from medseg.networks.layers.patch_embed import PatchEmbed
from medseg.networks.layers.tokens import to_map, to_tokens

_CHANNELS = (64, 128, 320, 512)
_HEADS = (1, 2, 5, 8)
_MLP_RATIOS = (8, 8, 4, 4)


class WindowAttention(nn.Module):
    """Attention of each token to the 3 x 3 window around it.

    Beyond the border, keys and values are zero and take part in the softmax, as published.
    """

    def __init__(self, channels: int, num_heads: int) -> None:
        super().__init__()
        check_heads(channels, num_heads)
        self.num_heads = num_heads
        self.scale = (channels // num_heads) ** -0.5
        self.q = nn.Linear(channels, channels)
        self.kv = nn.Linear(channels, 2 * channels)
        self.proj = nn.Linear(channels, channels)

    def forward(self, x: Tensor, height: int, width: int) -> Tensor:
        """Tokens `[B, height * width, channels]` to tokens of the same shape."""
        q = to_map(self.scale * self.q(x), height, width).unflatten(1, (self.num_heads, -1))
        k, v = F.pad(to_map(self.kv(x), height, width), [1, 1, 1, 1]).chunk(2, dim=1)
        k = k.unflatten(1, (self.num_heads, -1))
        v = v.unflatten(1, (self.num_heads, -1))  # [B, heads, C / heads, height + 2, width + 2]
        # one shifted view per neighbor: nine copies of keys and values would not fit where the maps are large
        scores: list[Tensor] = []
        for i in range(9):
            dy, dx = i // 3, i % 3
            scores.append((q * k[..., dy : dy + height, dx : dx + width]).sum(2, keepdim=True))
        weights = torch.cat(scores, dim=2).softmax(dim=2)
        out = torch.zeros_like(q)
        for i in range(9):
            dy, dx = i // 3, i % 3
            out = out + weights[:, :, i : i + 1] * v[..., dy : dy + height, dx : dx + width]
        return self.proj(to_tokens(out.flatten(1, 2)))


class SimVisionTransformer(TransformerPyramid):
    """Four stages of patches side by side and blocks of window attention, full attention in the last."""

    def __init__(self, in_channels: int = 3, depths: Sequence[int] = (2, 4, 3, 2), drop_path: float = 0.0) -> None:
        incoming = (in_channels, *_CHANNELS)
        sizes = (4, 2, 2, 2)
        attentions = (WindowAttention, WindowAttention, WindowAttention, SpatialReductionAttention)
        super().__init__(
            _CHANNELS,
            drop_path_rates(drop_path, depths),
            patch_embed=lambda i: PatchEmbed(incoming[i], _CHANNELS[i], sizes[i], sizes[i], padding=0),
            attention=lambda i: attentions[i](_CHANNELS[i], _HEADS[i]),
            feed_forward=lambda i: MixFeedForward(_CHANNELS[i], _MLP_RATIOS[i] * _CHANNELS[i]),
        )
