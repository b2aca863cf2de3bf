"""Mix-FFN with a skip around its depth-wise convolution (MISSFormer, MS-Former)."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from medseg.networks.layers.stacked import LayerNorm, Linear, depthwise3x3

__all__ = ["MixFFNSkip"]

# Floats of the widest intermediate map of one tile: about 3 MB, so that a tile stays in the processor's
# cache.
_TILE_FLOATS = 800_000


class MixFFNSkip(nn.Module):
    """``fc2(GELU(LayerNorm(h + depthwise3x3(h))))`` with ``h = fc1(x)``.

    On a CPU the layer runs in tiles of a few rows: the four intermediate maps, four times as wide as the
    tokens, stay in the cache, and the backward pass computes them again instead of keeping them. That is
    about twice as fast as whole maps at 257 x 257 and needs a fraction of the memory. Elsewhere the maps
    are whole.

    Args:
        dim: channels of the tokens.
        hidden_dim: channels inside.
    """

    def __init__(self, dim: int, hidden_dim: int) -> None:
        super().__init__()
        self.fc1 = Linear(dim, hidden_dim)
        self.dwconv = nn.Conv2d(hidden_dim, hidden_dim, 3, padding=1, groups=hidden_dim)
        self.norm = LayerNorm(hidden_dim)
        self.fc2 = Linear(hidden_dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens ``[B, H, W, C]`` to tokens of the same shape."""
        if x.device.type == "cpu":
            parameters = (
                *(self.fc1.weight, self.fc1.bias, self.dwconv.weight, self.dwconv.bias),
                *(self.norm.weight, self.norm.bias, self.fc2.weight, self.fc2.bias),
            )
            out: Tensor = _TiledMixFFN.apply(x, self.norm.eps, *parameters)
            return out
        hidden = self.fc1(x)
        hidden = depthwise3x3(hidden, _with_skip(self.dwconv.weight), self.dwconv.bias)
        out = self.fc2(F.gelu(self.norm(hidden)))
        return out


class _TiledMixFFN(torch.autograd.Function):
    """The layer in tiles of rows, image by image; the backward pass recomputes each tile."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, eps: float, *parameters: Tensor) -> Tensor:
        ctx.save_for_backward(x, *parameters)
        ctx.eps = eps
        ctx.autocast = torch.is_autocast_enabled("cpu")  # the backward pass runs outside of the caller's
        out = torch.empty_like(x)
        for image in range(x.shape[0]):
            *inner, w2, b2 = _of_image(parameters, image)
            for rows, halo in _tiles(x.shape[1], x.shape[2], w2.shape[1]):
                hidden = _hidden_tile(x[image, halo], rows, halo, eps, *inner)
                out[image, rows] = F.linear(hidden, w2, b2)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, *parameters = ctx.saved_tensors
        grad_x = torch.zeros_like(x)
        grads = [torch.zeros_like(parameter) for parameter in parameters]
        with torch.autocast("cpu", enabled=ctx.autocast):
            for image in range(x.shape[0]):
                _accumulate(
                    x[image],
                    grad[image],
                    ctx.eps,
                    _of_image(parameters, image),
                    grad_x[image],
                    _of_image(grads, image),
                )
        return grad_x, None, *grads


def _accumulate(
    x: Tensor,
    grad: Tensor,
    eps: float,
    parameters: Sequence[Tensor],
    grad_x: Tensor,
    grads: Sequence[Tensor],
) -> None:
    """Add the gradients of one image ``[H, W, C]`` to ``grad_x`` and ``grads``, tile by tile."""
    *inner, w2, _ = (parameter.detach().requires_grad_() for parameter in parameters)
    *grad_inner, grad_w2, grad_b2 = grads
    for rows, halo in _tiles(x.shape[0], x.shape[1], w2.shape[1]):
        tile = x[halo].detach().requires_grad_()
        with torch.enable_grad():
            hidden = _hidden_tile(tile, rows, halo, eps, *inner)
        grad_out = grad[rows].flatten(0, 1)
        grad_hidden = (grad_out @ w2.detach()).view_as(hidden)
        grad_tile, *inner_tile = torch.autograd.grad(hidden, [tile, *inner], grad_hidden)
        grad_x[halo] += grad_tile
        torch._foreach_add_(grad_inner, inner_tile)
        grad_w2 += grad_out.T @ hidden.detach().flatten(0, 1)
        grad_b2 += grad_out.sum(0)


def _hidden_tile(x: Tensor, rows: slice, halo: slice, eps: float, *inner: Tensor) -> Tensor:
    """What ``fc2`` sees of some rows, from these rows and their neighbors ``[h, W, C]``."""
    w1, b1, w_conv, b_conv, gain, bias = inner
    hidden = F.linear(x.unsqueeze(0), w1, b1)
    # the convolution pads the halo rows too; what it makes of them is cut off here
    mixed = depthwise3x3(hidden, _with_skip(w_conv), b_conv)[0]
    mixed = mixed[rows.start - halo.start : rows.stop - halo.start]
    return F.gelu(F.layer_norm(mixed, (mixed.shape[-1],), gain, bias, eps))


def _with_skip(weight: Tensor) -> Tensor:
    """Add the identity to a depth-wise 3 x 3 kernel, which saves the sum of two wide maps."""
    identity = torch.zeros_like(weight)
    identity[..., 1, 1] = 1
    return weight + identity


def _of_image(parameters: Sequence[Tensor], image: int) -> list[Tensor]:
    """The parameters that serve one image."""
    stacked = parameters[0].dim() == 3
    return [parameter[image] if stacked else parameter for parameter in parameters]


def _tiles(height: int, width: int, hidden_dim: int) -> Iterator[tuple[slice, slice]]:
    """Rows of each tile, and the same with one row more on each side that lies in the image."""
    step = max(1, _TILE_FLOATS // (width * hidden_dim))
    for start in range(0, height, step):
        stop = min(start + step, height)
        yield slice(start, stop), slice(max(start - 1, 0), min(stop + 1, height))
