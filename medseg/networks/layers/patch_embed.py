"""Patch embeddings."""

import torch
from torch import nn

from medseg.networks.layers.tokens import to_tokens

__all__ = ["PatchEmbed"]


class PatchEmbed(nn.Module):
    """Strided convolution and layer norm: the step from one pyramid level to the next, coarser one.

    With `padding` the patches overlap (SegFormer, Xie et al., NeurIPS 2021, section 3.1).

    Args:
        in_channels: channels of the incoming map.
        out_channels: channels of the tokens.
        kernel_size: side of a patch in pixels of the incoming map.
        stride: distance of neighboring patches in pixels of the incoming map.
        padding: zero padding on each side in pixels.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, stride: int, padding: int) -> None:
        super().__init__()
        self.proj: nn.Module = nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding)
        self.norm = nn.LayerNorm(out_channels)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, int, int]:
        """Map `[B, in_channels, H, W]` to tokens `[B, h * w, out_channels]`, and `h` and `w`."""
        x = self.proj(x)
        return self.norm(to_tokens(x)), x.shape[2], x.shape[3]


class OverlapPatchEmbed(PatchEmbed):
    """`PatchEmbed` with the overlap that SegFormer, PVT v2 and Shunted share: patches of side `2 * stride - 1`.

    That is 7 x 7 patches for a stride of 4 and 3 x 3 patches for a stride of 2.

    Args:
        in_channels: channels of the incoming map.
        out_channels: channels of the tokens.
        stride: distance of neighboring patches in pixels of the incoming map.
        padding: zero padding on each side in pixels; `None` for `stride - 1`, which covers the border.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int, padding: int | None = None) -> None:
        super().__init__(
            in_channels, out_channels, 2 * stride - 1, stride, padding=stride - 1 if padding is None else padding
        )
