"""Mix-FFN with a skip connection around its depth-wise convolution (MISSFormer, MS-Former)."""

import torch.nn.functional as F
from torch import Tensor, nn


class MixFFNSkip(nn.Module):
    """`fc2(GELU(LayerNorm(h + depthwise3x3(h))))` with `h = fc1(x)`, which has `hidden_dim` channels."""

    def __init__(self, dim: int, hidden_dim: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden_dim)
        self.dwconv = nn.Conv2d(hidden_dim, hidden_dim, 3, padding=1, groups=hidden_dim)
        self.norm = nn.LayerNorm(hidden_dim)
        self.fc2 = nn.Linear(hidden_dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens `[B, H, W, C]` to tokens of the same shape."""
        hidden = self.fc1(x)
        hidden = hidden + self.dwconv(hidden.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        return self.fc2(F.gelu(self.norm(hidden)))
