"""A map `[B, C, H, W]` and the token sequence `[B, H * W, C]` are two views of the same memory."""

from torch import Tensor


def to_tokens(x: Tensor) -> Tensor:
    """Map `[B, C, H, W]` to tokens `[B, H * W, C]`, row by row; no copy if `x` is channels-last."""
    return x.flatten(2).transpose(1, 2)


def to_map(x: Tensor, height: int, width: int) -> Tensor:
    """Tokens `[B, height * width, C]` to a channels-last map `[B, C, height, width]`, without a copy."""
    return x.transpose(1, 2).unflatten(2, (height, width))
