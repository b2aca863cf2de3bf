from torch import Tensor, nn

from medseg.networks.layers.tokens import to_tokens


class PatchEmbed(nn.Module):
    """Strided convolution and layer norm: the step from one pyramid level to the next, coarser one.

    Patches have the side `kernel_size` and the distance `stride`, in pixels of the incoming map. With `padding` they
    overlap (SegFormer, Xie et al., NeurIPS 2021, section 3.1).
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, stride: int, padding: int) -> None:
        super().__init__()
        self.proj: nn.Module = nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding)
        self.norm = nn.LayerNorm(out_channels)

    def forward(self, x: Tensor) -> tuple[Tensor, int, int]:
        """Map `[B, in_channels, H, W]` to tokens `[B, h * w, out_channels]`, and `h` and `w`."""
        x = self.proj(x)
        return self.norm(to_tokens(x)), x.shape[2], x.shape[3]


class OverlapPatchEmbed(PatchEmbed):
    """`PatchEmbed` with the overlap that SegFormer, PVT v2 and Shunted share: patches of side `2 * stride - 1`.

    That is 7 x 7 patches for a stride of 4 and 3 x 3 for a stride of 2. The padding is `stride - 1` unless given.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int, padding: int | None = None) -> None:
        padding = stride - 1 if padding is None else padding
        super().__init__(in_channels, out_channels, 2 * stride - 1, stride, padding)
