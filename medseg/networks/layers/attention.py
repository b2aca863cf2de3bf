import torch.nn.functional as F
from torch import Tensor, nn

from medseg.networks.layers.tokens import to_map, to_tokens


def check_heads(channels: int, num_heads: int) -> None:
    """Raise a ValueError unless `num_heads` divides `channels`."""
    if channels % num_heads:
        raise ValueError(f"num_heads must divide channels, got {num_heads} heads for {channels} channels.")


def attend(q: Tensor, k: Tensor, v: Tensor, num_heads: int, scale: float | None = None) -> Tensor:
    """Multi-head attention of queries `[B, N, C]` to keys and values `[B, M, C]`: `[B, N, C]`, heads side by side.

    The scores are multiplied by `scale`; `None` for `1 / sqrt(C / num_heads)`.
    """
    q = q.unflatten(2, (num_heads, -1)).transpose(1, 2)  # [B, heads, N, C / heads]
    k = k.unflatten(2, (num_heads, -1)).transpose(1, 2)
    v = v.unflatten(2, (num_heads, -1)).transpose(1, 2)
    return F.scaled_dot_product_attention(q, k, v, scale=scale).transpose(1, 2).flatten(2)


class SpatialReductionAttention(nn.Module):
    """Multi-head attention whose keys and values come from a map reduced `reduction` times on each side.

    SegFormer (Xie et al., NeurIPS 2021), equations 1 and 2, and PVT (Wang et al., ICCV 2021), section 3.3: the cost
    falls from `N * N` to `N * N / reduction**2` for `N = H * W` tokens. A `reduction` of 1 is plain attention.
    """

    def __init__(self, channels: int, num_heads: int, reduction: int = 1) -> None:
        super().__init__()
        check_heads(channels, num_heads)
        self.num_heads = num_heads
        self.reduction = reduction
        self.q = nn.Linear(channels, channels)
        self.kv = nn.Linear(channels, 2 * channels)
        self.proj = nn.Linear(channels, channels)
        # TorchScript compiles both branches of `forward`, so the two exist without a reduction too
        reduced = reduction > 1
        self.sr = nn.Conv2d(channels, channels, reduction, reduction) if reduced else nn.Identity()
        self.norm = nn.LayerNorm(channels) if reduced else nn.Identity()

    def forward(self, x: Tensor, height: int, width: int) -> Tensor:
        """Tokens `[B, height * width, channels]` to tokens of the same shape."""
        context = x
        if self.reduction > 1:
            context = self.norm(to_tokens(self.sr(to_map(x, height, width))))
        k, v = self.kv(context).chunk(2, dim=2)
        return self.proj(attend(self.q(x), k, v, self.num_heads))
