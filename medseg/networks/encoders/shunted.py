"""The Shunted Transformer: half of the heads look at coarse keys, half at finer ones.

Paper: Ren et al., Shunted Self-Attention via Multi-Scale Token Aggregation, CVPR 2022,
https://arxiv.org/abs/2111.15193, section 3 and table 1. Written from the paper.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from medseg.networks.encoders.pyramid import TransformerPyramid, drop_path_rates
from medseg.networks.layers.attention import attend, check_heads
from medseg.networks.layers.conv import conv_norm
from medseg.networks.layers.feed_forward import MixFeedForward
from medseg.networks.layers.patch_embed import OverlapPatchEmbed, PatchEmbed
from medseg.networks.layers.tokens import to_map, to_tokens

_CHANNELS = (64, 128, 256, 512)
_HEADS = (2, 4, 8, 16)
_REDUCTIONS = ((8, 4), (4, 2), (2, 1))  # of each half of the heads; the last stage has none
_MLP_RATIOS = (8, 8, 4, 4)


class ConvStem(PatchEmbed):
    """First patch embedding: 7 x 7 convolution of stride 2, `num_convs` 3 x 3 convolutions, 2 x 2 patches."""

    def __init__(self, in_channels: int, out_channels: int, num_convs: int) -> None:
        super().__init__(out_channels, out_channels, kernel_size=2, stride=2, padding=0)
        stem = conv_norm(in_channels, out_channels, 7, stride=2, relu=True)
        for _ in range(num_convs):
            stem += conv_norm(out_channels, out_channels, 3, relu=True)
        self.proj = nn.Sequential(*stem, self.proj)


class ShuntedAttention(nn.Module):
    """Two groups of heads, each with keys and values from a map reduced in its own way.

    The values also pass a 3 x 3 depth-wise convolution, whose result is added to them (equations 1 to 3). `reductions`
    says how many times the map is reduced on each side, for each group of heads.
    """

    def __init__(self, channels: int, num_heads: int, reductions: Sequence[int]) -> None:
        super().__init__()
        check_heads(channels, num_heads)
        groups = len(reductions)
        if num_heads % groups:
            raise ValueError(f"num_heads must be a multiple of {groups}, the number of reductions, got {num_heads}.")
        part = channels // groups
        self.num_groups = groups
        self.heads_per_group = num_heads // groups
        self.q = nn.Linear(channels, channels)
        self.sr = nn.ModuleList(nn.Conv2d(channels, channels, r, r) for r in reductions)
        self.norm = nn.ModuleList(nn.LayerNorm(channels) for _ in reductions)
        self.act = nn.GELU()
        self.kv = nn.ModuleList(nn.Linear(channels, 2 * part) for _ in reductions)
        self.local = nn.ModuleList(nn.Conv2d(part, part, 3, padding=1, groups=part) for _ in reductions)
        self.proj = nn.Linear(channels, channels)

    def forward(self, x: Tensor, height: int, width: int) -> Tensor:
        """Tokens `[B, height * width, channels]` to tokens of the same shape."""
        queries = self.q(x).chunk(self.num_groups, dim=2)
        x = to_map(x, height, width)
        parts: list[Tensor] = []
        for i, (sr, norm, kv, local) in enumerate(zip(self.sr, self.norm, self.kv, self.local)):  # noqa: B905 (TorchScript)
            reduced = sr(x)
            k, v = kv(self.act(norm(to_tokens(reduced)))).chunk(2, dim=2)
            v = v + to_tokens(local(to_map(v, reduced.shape[2], reduced.shape[3])))
            parts.append(attend(queries[i], k, v, self.heads_per_group))
        return self.proj(torch.cat(parts, dim=2))


class LocalAttention(nn.Module):
    """Full attention plus a 3 x 3 depth-wise convolution of the values, for the last stage."""

    def __init__(self, channels: int, num_heads: int) -> None:
        super().__init__()
        check_heads(channels, num_heads)
        self.num_heads = num_heads
        self.q = nn.Linear(channels, channels)
        self.kv = nn.Linear(channels, 2 * channels)
        self.local = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.proj = nn.Linear(channels, channels)

    def forward(self, x: Tensor, height: int, width: int) -> Tensor:
        """Tokens `[B, height * width, channels]` to tokens of the same shape."""
        k, v = self.kv(x).chunk(2, dim=2)
        local = to_tokens(self.local(to_map(v, height, width)))
        return self.proj(attend(self.q(x), k, v, self.num_heads) + local)


class ShuntedTransformer(TransformerPyramid):
    """A convolutional stem, then four stages of overlapping patches and blocks of shunted attention.

    Args beside those of every family:
        stem_convs: 3 x 3 convolutions in the stem.
    """

    def __init__(
        self, in_channels: int = 3, depths: Sequence[int] = (2, 4, 12, 1), stem_convs: int = 1, drop_path: float = 0.0
    ) -> None:
        def patch_embed(i: int) -> nn.Module:
            if i == 0:
                return ConvStem(in_channels, _CHANNELS[0], stem_convs)
            return OverlapPatchEmbed(_CHANNELS[i - 1], _CHANNELS[i], stride=2)

        def attention(i: int) -> nn.Module:
            if i == len(_REDUCTIONS):
                return LocalAttention(_CHANNELS[i], _HEADS[i])
            return ShuntedAttention(_CHANNELS[i], _HEADS[i], _REDUCTIONS[i])

        super().__init__(
            _CHANNELS,
            drop_path_rates(drop_path, depths),
            patch_embed,
            attention,
            feed_forward=lambda i: MixFeedForward(_CHANNELS[i], _MLP_RATIOS[i] * _CHANNELS[i], residual=True),
        )
