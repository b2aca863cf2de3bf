"""Convolution with batch norm."""

from torch import nn

__all__ = ["conv_norm"]


def conv_norm(
    in_channels: int, out_channels: int, kernel_size: int, stride: int = 1, groups: int = 1, bias: bool = False
) -> list[nn.Module]:
    """Convolution and batch norm for an `nn.Sequential`; a stride of 1 keeps the size of the map.

    Args:
        in_channels: channels of the incoming map.
        out_channels: channels of the result.
        kernel_size: side of the kernel, odd; the padding is half of it.
        stride: stride on each side.
        groups: groups of the convolution.
        bias: give the convolution a bias, which the norm makes redundant; some published weights have one.
    """
    return [
        nn.Conv2d(in_channels, out_channels, kernel_size, stride, kernel_size // 2, groups=groups, bias=bias),
        nn.BatchNorm2d(out_channels),
    ]
