from torch import nn


def conv_norm(
    in_channels: int,
    out_channels: int,
    kernel_size: int,
    stride: int = 1,
    groups: int = 1,
    bias: bool = False,
    relu: bool = False,
) -> list[nn.Module]:
    """Convolution, batch norm and, if asked for, ReLU for an `nn.Sequential`; a stride of 1 keeps the size of the map.

    `kernel_size` is odd, the padding half of it. The norm makes a bias redundant; some published weights have one.
    """
    conv = nn.Conv2d(in_channels, out_channels, kernel_size, stride, kernel_size // 2, groups=groups, bias=bias)
    return [conv, nn.BatchNorm2d(out_channels), *([nn.ReLU(inplace=True)] if relu else [])]
