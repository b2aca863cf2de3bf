import torch
import torch.nn.functional as F
from torch import Tensor, nn


def resize(x: Tensor, height: int, width: int, align_corners: bool = False) -> Tensor:
    """Bilinear resize of `[B, C, H, W]` to `[B, C, height, width]`; `x` itself if it has that size already."""
    if x.shape[2] == height and x.shape[3] == width:
        return x
    return F.interpolate(x, size=[height, width], mode="bilinear", align_corners=align_corners)


class ResizeConcat(nn.Module):
    """Resize maps to one size (bilinear) and concatenate them."""

    def __init__(self, align_corners: bool = False) -> None:
        super().__init__()
        self.align_corners = align_corners

    def forward(self, maps: list[Tensor], height: int, width: int) -> Tensor:
        """Maps `[B, C_i, h_i, w_i]` in the order of the concatenation to `[B, sum(C_i), height, width]`."""
        resized: list[Tensor] = []
        for x in maps:
            resized.append(resize(x, height, width, self.align_corners))
        return torch.cat(resized, dim=1)


class ResizeConcatConv(nn.Module):
    """Resize maps to one size, concatenate them, 1 x 1 convolution, batch norm, ReLU.

    A 1 x 1 convolution and a bilinear resize commute, and a convolution of a concatenation is a sum of convolutions; so
    each map is convolved at its own size and resized afterwards: the same up to rounding, for a fraction of the cost.
    """

    def __init__(self, in_channels: int, num_maps: int, out_channels: int, align_corners: bool = False) -> None:
        super().__init__()
        self.num_maps = num_maps
        self.align_corners = align_corners
        self.conv = nn.Conv2d(num_maps * in_channels, out_channels, kernel_size=1, bias=False)
        self.norm = nn.BatchNorm2d(out_channels)
        self.act = nn.ReLU(inplace=True)

    def forward(self, maps: list[Tensor], height: int, width: int) -> Tensor:
        """Maps `[B, in_channels, h_i, w_i]` in the order of the concatenation to `[B, out_channels, height, width]`."""
        weights = self.conv.weight.chunk(self.num_maps, dim=1)
        fused = resize(F.conv2d(maps[0], weights[0]), height, width, self.align_corners)
        for i in range(1, self.num_maps):
            fused = fused + resize(F.conv2d(maps[i], weights[i]), height, width, self.align_corners)
        return self.act(self.norm(fused))
