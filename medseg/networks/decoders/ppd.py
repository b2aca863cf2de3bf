"""PPD, the decoder of Polyp-PVT.

Paper: Dong et al., Polyp-PVT: Polyp Segmentation with Pyramid Vision Transformers, CAAI AIR 2023,
https://arxiv.org/abs/2108.06932, section 3: cascaded fusion (3.3), camouflage identification (3.4) and similarity
aggregation (3.5).
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from medseg.networks.decoders.decoder import Decoder
from medseg.networks.layers.conv import conv_norm
from medseg.networks.layers.fusion import resize


class CascadedFusion(nn.Module):
    """Fuses three maps of `channels` channels by products and concatenations, coarse to fine."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        widths = (channels, channels, channels, channels, 2 * channels)
        self.up = nn.ModuleList(nn.Sequential(*conv_norm(width, width, 3)) for width in widths)
        self.merge = nn.ModuleList(nn.Sequential(*conv_norm(n * channels, n * channels, 3)) for n in (2, 3))
        self.out = nn.Sequential(*conv_norm(3 * channels, channels, 3))

    def forward(self, fine: Tensor, middle: Tensor, coarse: Tensor) -> Tensor:
        """Maps `[B, channels, h, w]`, each about half as large as the one before, to one of the size of `fine`."""
        to_middle = resize(coarse, middle.shape[2], middle.shape[3], align_corners=True)
        height, width = fine.shape[2], fine.shape[3]
        x2 = self.merge[0](torch.cat([self.up[0](to_middle) * middle, self.up[3](to_middle)], dim=1))
        coarse_part = self.up[1](resize(to_middle, height, width, align_corners=True))
        middle_part = self.up[2](resize(middle, height, width, align_corners=True))
        x2_part = self.up[4](resize(x2, height, width, align_corners=True))
        return self.out(self.merge[1](torch.cat([coarse_part * middle_part * fine, x2_part], dim=1)))


class ChannelAttention(nn.Module):
    """Weights each channel by a small network, 16 times narrower inside, of its mean and its maximum."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = max(1, channels // 16)
        self.fc1 = nn.Conv2d(channels, hidden, 1, bias=False)
        self.act = nn.ReLU()
        self.fc2 = nn.Conv2d(hidden, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, channels, H, W]` to a map of the same shape."""
        mean = self.fc2(self.act(self.fc1(x.mean((2, 3), keepdim=True))))
        peak = self.fc2(self.act(self.fc1(x.amax((2, 3), keepdim=True))))
        return (mean + peak).sigmoid() * x


class SpatialAttention(nn.Module):
    """Weight each pixel by a 7 x 7 convolution of the mean and the maximum over its channels."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 1, 7, padding=3, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, C, H, W]` to a map of the same shape."""
        statistics = torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], dim=1)
        return self.conv(statistics).sigmoid() * x


def inner_regions(size: int, grid: int, like: Tensor) -> Tensor:
    """Weights `[grid, size]` that average all but the first and last of `grid + 2` regions of `size` pixels.

    These are the regions of `adaptive_avg_pool2d`, which exporters to ONNX fix to the size of their example.
    """
    region = torch.arange(1, grid + 1, device=like.device)[:, None]
    start = region * size // (grid + 2)
    end = ((region + 1) * size + grid + 1) // (grid + 2)  # rounded up
    pixel = torch.arange(size, device=like.device)
    return ((pixel >= start) & (pixel < end)).to(like.dtype) / (end - start)


class SimilarityAggregation(nn.Module):
    """Gather pixels into a few nodes by similarity, mix the nodes by graph convolution, and add them to the pixels.

    The gathering sums over all pixels without a norm, as published, so that values of some hundreds are usual. The
    nodes start as the means of the inner `grid` x `grid` of `grid + 2` x `grid + 2` regions.
    """

    def __init__(self, channels: int, grid: int = 4) -> None:
        super().__init__()
        state = channels // 2
        nodes = grid * grid
        self.grid = grid
        self.state = nn.Conv2d(channels, state, 1)
        self.proj = nn.Conv2d(channels, state, 1)
        self.mix_nodes = nn.Conv1d(nodes, nodes, 1)
        self.mix_state = nn.Conv1d(state, state, 1, bias=False)
        self.act = nn.ReLU(inplace=True)
        self.extend = nn.Conv2d(state, channels, 1, bias=False)

    def forward(self, x: Tensor, detail: Tensor) -> Tensor:
        """Map `[B, channels, H, W]` and fine detail `[B, >= 2, H, W]` to a map of the shape of `x`."""
        height, width = x.shape[2], x.shape[3]
        proj = self.proj(x)
        # the published code takes the second channel of a softmax over all channels of the detail
        gated = proj * detail.softmax(1)[:, 1:2]
        rows, columns = inner_regions(height, self.grid, gated), inner_regions(width, self.grid, gated)
        anchors = (rows @ gated @ columns.T).flatten(2)  # [B, state, nodes]
        assign = (anchors.transpose(1, 2) @ proj.flatten(2)).softmax(1)  # [B, nodes, H * W]
        nodes = self.state(x).flatten(2) @ assign.transpose(1, 2)  # [B, state, nodes]
        mixed = self.act(self.mix_state(self.mix_nodes(nodes.transpose(1, 2)).transpose(1, 2) - nodes))
        return x + self.extend((mixed @ assign).unflatten(2, (height, width)))


class PolypDecoder(Decoder):
    """Cascaded fusion of the three coarser levels; the finest level adds its detail by similarity aggregation.

    The prediction is the sum of the logits before and after the aggregation. Both are also trained by themselves
    (deep supervision): in training they follow the prediction.

    Raises:
        ValueError: if the encoder has not exactly four levels.
    """

    def __init__(self, in_channels: Sequence[int], out_channels: int, channels: int = 32, dropout: float = 0.1) -> None:
        super().__init__()
        if len(in_channels) != 4:
            raise ValueError(
                f"decoder 'ppd' needs an encoder with 4 levels, this one has {len(in_channels)}: "
                "choose another decoder, or another encoder than CvT."
            )
        self.channel_attention = ChannelAttention(in_channels[0])
        self.spatial_attention = SpatialAttention()
        self.embed = nn.ModuleList(nn.Sequential(*conv_norm(level, channels, 1)) for level in in_channels)
        self.fusion = CascadedFusion(channels)
        self.aggregation = SimilarityAggregation(channels)
        self.dropout = nn.Dropout(dropout)
        self.pred_fusion = nn.Conv2d(channels, out_channels, 1)
        self.pred_aggregation = nn.Conv2d(channels, out_channels, 1)

    def branches(self, maps: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Logits `[B, out_channels, h, w]` before and after the aggregation, at the size of the second finest map."""
        levels = [self.spatial_attention(self.channel_attention(maps[0])), maps[1], maps[2], maps[3]]
        for i, embed in enumerate(self.embed):
            levels[i] = embed(levels[i])
        fused = self.fusion(levels[1], levels[2], levels[3])
        detail = resize(levels[0], fused.shape[2], fused.shape[3], align_corners=True)
        aggregated = self.aggregation(fused, detail)
        return self.pred_fusion(self.dropout(fused)), self.pred_aggregation(self.dropout(aggregated))

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """As `branches`; the prediction is their sum. In training three entries, the sum first."""
        before, after = self.branches(maps)
        return [before + after, before, after] if self.training else [before + after]
