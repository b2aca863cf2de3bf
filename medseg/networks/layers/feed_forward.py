import torch.nn.functional as F
from torch import Tensor, nn

from medseg.networks.layers.tokens import to_map, to_tokens


class FeedForward(nn.Module):
    """`fc2(GELU(fc1(x)))`, token by token, `hidden_channels` wide in between; the residual is the block's."""

    def __init__(self, channels: int, hidden_channels: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(channels, hidden_channels)
        self.act = nn.GELU()
        self.fc2 = nn.Linear(hidden_channels, channels)

    def forward(self, x: Tensor, height: int, width: int) -> Tensor:
        """Tokens `[B, height * width, channels]` to tokens of the same shape."""
        return self.fc2(self.act(self.fc1(x)))


class MixFeedForward(nn.Module):
    """Mix-FFN: a 3 x 3 depth-wise convolution between the two linear layers tells tokens where they are.

    SegFormer (Xie et al., NeurIPS 2021), equation 3: `fc2(GELU(dwconv(fc1(x))))`; the residual is the block's.
    With `residual`, the detail-specific form of the Shunted Transformer (Ren et al., CVPR 2022, section 3.2):
    `fc2(GELU(y + dwconv(y)))` for `y = fc1(x)`.
    """

    def __init__(self, channels: int, hidden_channels: int, residual: bool = False) -> None:
        super().__init__()
        self.residual = residual
        self.fc1 = nn.Linear(channels, hidden_channels)
        self.dwconv = nn.Conv2d(hidden_channels, hidden_channels, 3, padding=1, groups=hidden_channels)
        self.act = nn.GELU()
        self.fc2 = nn.Linear(hidden_channels, channels)

    def forward(self, x: Tensor, height: int, width: int) -> Tensor:
        """Tokens `[B, height * width, channels]` to tokens of the same shape."""
        x = to_map(self.fc1(x), height, width)
        local = x + self.dwconv(x) if self.residual else self.dwconv(x)
        return self.fc2(self.act(to_tokens(local)))


class MixFFNSkip(nn.Module):
    """Mix-FFN with a skip connection around its depth-wise convolution (MISSFormer, MS-Former).

    `fc2(GELU(LayerNorm(h + depthwise3x3(h))))` with `h = fc1(x)`, which has `hidden_dim` channels.
    """

    def __init__(self, dim: int, hidden_dim: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden_dim)
        self.dwconv = nn.Conv2d(hidden_dim, hidden_dim, 3, padding=1, groups=hidden_dim)
        self.norm = nn.LayerNorm(hidden_dim)
        self.fc2 = nn.Linear(hidden_dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Tokens `[B, H, W, C]` to tokens of the same shape."""
        hidden = self.fc1(x)
        hidden = hidden + self.dwconv(hidden.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        return self.fc2(F.gelu(self.norm(hidden)))
