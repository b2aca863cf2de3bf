"""EfficientNet-Lite, the convolutional network for phones and processors without a GPU.

Papers: Tan and Le, EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks, ICML 2019,
https://arxiv.org/abs/1905.11946, table 1 and section 3.3; Sandler et al., MobileNetV2, CVPR 2018,
https://arxiv.org/abs/1801.04381, section 3 (the blocks). The published changes of the Lite variant: ReLU6 in place of
swish, no squeeze-and-excitation, a stem that is not scaled by the width, and first and last groups of blocks that are
not scaled by the depth. Written from these; the published ImageNet weights are under Apache-2.0.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from monai.networks.layers import DropPath
from torch import Tensor, nn

from medseg.networks.encoders.pyramid import STRIDES, PyramidEncoder, drop_path_rates, init_transformer_weights

# kernel, stride and expansion of the seven groups of blocks (table 1), and the level that each belongs to
_KERNELS = (3, 3, 5, 3, 5, 5, 3)
_GROUP_STRIDES = (1, 2, 2, 2, 1, 2, 1)
_EXPANSIONS = (1, 6, 6, 6, 6, 6, 6)
_LEVELS = (0, 0, 1, 2, 2, 3, 3)


class SameConv2d(nn.Conv2d):
    """Convolution with TensorFlow's SAME padding: the result has `ceil(size / stride)` pixels a side.

    Where the padding is odd, as at stride 2 and an even size, the far side gets the pixel more. `kernel_size` is odd,
    `stride` 1 or 2.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, stride: int = 1, groups: int = 1) -> None:
        padding = kernel_size // 2 if stride == 1 else 0  # at stride 1 both sides get the same
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, groups=groups, bias=False)
        self.far = kernel_size // 2

    def forward(self, input: Tensor) -> Tensor:
        """Map `[B, in_channels, H, W]` to `[B, out_channels, ceil(H / stride), ceil(W / stride)]`."""
        if self.stride[0] == 2:
            top, left = self.far - 1 + input.shape[2] % 2, self.far - 1 + input.shape[3] % 2
            input = F.pad(input, [left, self.far, top, self.far])
        if not torch.jit.is_scripting():  # noqa: SIM102 (TorchScript leaves out the block, not a condition)
            if self.groups > 1 and torch.is_autocast_enabled("cpu"):
                # the gradients of depth-wise kernels take 3 to 10 times as long in bfloat16 on a CPU
                with torch.autocast("cpu", enabled=False):
                    return self._conv_forward(input.float(), self.weight, self.bias)
        return self._conv_forward(input, self.weight, self.bias)


def _conv_norm(
    in_channels: int, out_channels: int, kernel_size: int = 1, stride: int = 1, groups: int = 1, act: bool = True
) -> nn.Sequential:
    """Convolution, batch norm with TensorFlow's numbers, ReLU6 unless `act` is false."""
    return nn.Sequential(
        SameConv2d(in_channels, out_channels, kernel_size, stride, groups),
        nn.BatchNorm2d(out_channels, eps=1e-3, momentum=0.01),
        nn.ReLU6(inplace=True) if act else nn.Identity(),
    )


class InvertedBottleneck(nn.Module):
    """MBConv: 1 x 1 to a wider map, depth-wise convolution, 1 x 1 to a narrow one; plus the input where shapes agree.

    `expansion` is the width of the map in between over that of the incoming one; 1 leaves the first 1 x 1 out.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, stride: int, expansion: int, drop_path: float = 0.0
    ) -> None:
        super().__init__()
        wide = expansion * in_channels
        self.expand = nn.Identity() if expansion == 1 else _conv_norm(in_channels, wide)
        self.depthwise = _conv_norm(wide, wide, kernel_size, stride, groups=wide)
        self.project = _conv_norm(wide, out_channels, act=False)
        self.residual = stride == 1 and in_channels == out_channels
        self.drop_path = DropPath(drop_path) if drop_path > 0 else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, in_channels, H, W]` to `[B, out_channels, ceil(H / stride), ceil(W / stride)]`."""
        out = self.project(self.depthwise(self.expand(x)))
        return x + self.drop_path(out) if self.residual else out


class _Level(nn.Module):
    """All blocks up to one map of the pyramid, the first level with the stem before them."""

    def __init__(self, stem: nn.Module, blocks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.stem = stem
        self.blocks = nn.ModuleList(blocks)
        self.apply(init_transformer_weights)

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, C, H, W]` to the coarser map of the level."""
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        return x


class EfficientNetLite(PyramidEncoder):
    """A stem and seven groups of inverted bottlenecks; the levels are the maps before the size is halved again.

    Args:
        in_channels: channels of the image.
        channels: width of each of the seven groups.
        depths: number of blocks of each group.
        drop_path: stochastic depth of the last block; grows linearly from 0 at the first.
    """

    def __init__(
        self,
        in_channels: int = 3,
        channels: Sequence[int] = (16, 24, 40, 80, 112, 192, 320),
        depths: Sequence[int] = (1, 2, 2, 3, 3, 4, 1),
        drop_path: float = 0.2,
    ) -> None:
        stem_channels = 32
        rates = drop_path_rates(drop_path, depths)
        incoming = (stem_channels, *channels)
        blocks: list[list[nn.Module]] = [[] for _ in STRIDES]
        for i, width in enumerate(channels):
            for j, rate in enumerate(rates[i]):
                before, stride = (incoming[i], _GROUP_STRIDES[i]) if j == 0 else (width, 1)
                block = InvertedBottleneck(before, width, _KERNELS[i], stride, _EXPANSIONS[i], rate)
                blocks[_LEVELS[i]].append(block)
        stems = [_conv_norm(in_channels, stem_channels, 3, stride=2), *(nn.Identity() for _ in STRIDES[1:])]
        widths = [max(w for w, at in zip(channels, _LEVELS, strict=True) if at == level) for level in range(4)]
        super().__init__([_Level(*pair) for pair in zip(stems, blocks, strict=True)], widths, STRIDES)
