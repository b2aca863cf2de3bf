"""What all encoder families share: blocks, stages and the pyramid that collects one map per stage."""

import math
from collections.abc import Callable, Sequence

from monai.networks.layers import DropPath, trunc_normal_
from torch import Tensor, nn

from medseg.networks.layers.tokens import to_map

# size of the image over the size of each level's map, in all families
STRIDES = (4, 8, 16, 32)


class Block(nn.Module):
    """Pre-norm transformer block: `x + attn(norm1(x))`, then `x + mlp(norm2(x))`, both under stochastic depth.

    `attn` and `mlp` are modules `(tokens, height, width) -> tokens`. `drop_path` is the probability with which a
    training sample skips each of the two branches.
    """

    def __init__(
        self, channels: int, attn: nn.Module, mlp: nn.Module, drop_path: float = 0.0, norm_eps: float = 1e-6
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(channels, eps=norm_eps)
        self.attn = attn
        self.norm2 = nn.LayerNorm(channels, eps=norm_eps)
        self.mlp = mlp
        self.drop_path = DropPath(drop_path) if drop_path > 0 else nn.Identity()

    def forward(self, x: Tensor, height: int, width: int) -> Tensor:
        """Tokens `[B, height * width, channels]` to tokens of the same shape."""
        x = x + self.drop_path(self.attn(self.norm1(x), height, width))
        return x + self.drop_path(self.mlp(self.norm2(x), height, width))


class Stage(nn.Module):
    """One level of the pyramid: patch embedding `map -> (tokens, height, width)`, blocks, norm of the tokens."""

    def __init__(self, patch_embed: nn.Module, blocks: Sequence[nn.Module], norm: nn.Module) -> None:
        super().__init__()
        self.patch_embed = patch_embed
        self.blocks = nn.ModuleList(blocks)
        self.norm = norm
        self.blocks.apply(init_transformer_weights)

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, C, H, W]` to the coarser map `[B, out_channels, height, width]`."""
        x, height, width = self.patch_embed(x)
        for block in self.blocks:
            x = block(x, height, width)
        return to_map(self.norm(x), height, width)


class PyramidEncoder(nn.Module):
    """A chain of stages, modules `map -> coarser map`, that returns the map of each.

    `out_channels` are the channels of the maps, `strides` the size of the image over theirs, on each side. Arguments of
    different lengths are a `ValueError`.
    """

    def __init__(self, stages: Sequence[nn.Module], out_channels: Sequence[int], strides: Sequence[int]) -> None:
        super().__init__()
        if not len(stages) == len(out_channels) == len(strides):
            counts = f"{len(stages)}, {len(out_channels)} and {len(strides)}"
            raise ValueError(f"stages, out_channels and strides must have one entry a level, got {counts}.")
        self.stages = nn.ModuleList(stages)
        self.out_channels = tuple(out_channels)
        self.strides = tuple(strides)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Image `[B, C, H, W]` to maps, fine to coarse, `[B, out_channels[i], ~H / strides[i], ~W / strides[i]]`."""
        maps: list[Tensor] = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps


class TransformerPyramid(PyramidEncoder):
    """Stages of transformer blocks. The arguments that are functions make one module of the stage with that index.

    Args of every family:
        in_channels: channels of the image.
        depths: number of blocks of each stage.
        drop_path: stochastic depth of the last block; grows linearly from 0 at the first.

    Args:
        channels: width of each stage.
        rates: stochastic depth of each block of each stage.
        patch_embed: gives the module `map -> (tokens, height, width)`.
        attention, feed_forward: give the modules `(tokens, height, width) -> tokens` of one block.
        stage_norm: end each stage with a layer norm.
        norm_eps: epsilon of the layer norms.
    """

    def __init__(
        self,
        channels: Sequence[int],
        rates: Sequence[Sequence[float]],
        patch_embed: Callable[[int], nn.Module],
        attention: Callable[[int], nn.Module],
        feed_forward: Callable[[int], nn.Module],
        stage_norm: bool = True,
        norm_eps: float = 1e-6,
    ) -> None:
        stages = [
            Stage(
                patch_embed(i),
                [Block(width, attention(i), feed_forward(i), rate, norm_eps) for rate in rates[i]],
                nn.LayerNorm(width, eps=norm_eps) if stage_norm else nn.Identity(),
            )
            for i, width in enumerate(channels)
        ]
        super().__init__(stages, channels, STRIDES[: len(channels)])


def drop_path_rates(drop_path: float, depths: Sequence[int]) -> list[list[float]]:
    """Stochastic depth per stage and block, growing linearly from 0 at the first block to `drop_path` at the last."""
    rates = iter([drop_path * i / max(sum(depths) - 1, 1) for i in range(sum(depths))])
    return [[next(rates) for _ in range(depth)] for depth in depths]


def init_transformer_weights(module: nn.Module) -> None:
    """Published initialization inside blocks: linear layers truncated normal (0.02), convolutions by fan-out."""
    if isinstance(module, nn.Linear):
        trunc_normal_(module.weight, std=0.02)
    elif isinstance(module, nn.Conv2d):
        fan_out = module.kernel_size[0] * module.kernel_size[1] * module.out_channels // module.groups
        nn.init.normal_(module.weight, std=math.sqrt(2.0 / fan_out))
    if isinstance(module, nn.Linear | nn.Conv2d) and module.bias is not None:
        nn.init.zeros_(module.bias)
