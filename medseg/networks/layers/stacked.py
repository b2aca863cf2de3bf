"""Layers on tokens ``[B, H, W, C]`` whose parameters may be stacked: one set per image of the batch.

A module of this file is an ordinary layer: its parameters have their usual shapes and serve the whole batch.
Called through :func:`torch.func.functional_call` with parameters that carry one more leading axis of length
``B``, it applies the i-th set to the i-th image: many small networks run as one. Everything is written once
for both.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["BatchNorm", "LayerNorm", "Linear", "OverlapPatchEmbedding", "depthwise3x3"]


class Linear(nn.Linear):
    """:class:`torch.nn.Linear` on the last axis; stacked weight ``[B, out, in]``, bias ``[B, out]``."""

    def forward(self, input: Tensor) -> Tensor:
        if self.weight.dim() == 2:
            return F.linear(input, self.weight, self.bias)
        tokens = input.flatten(1, -2)
        if self.bias is None:
            out = torch.bmm(tokens, self.weight.mT)
        else:
            out = torch.baddbmm(self.bias.unsqueeze(1), tokens, self.weight.mT)
        return out.view(*input.shape[:-1], out.shape[-1])


class LayerNorm(nn.LayerNorm):
    """:class:`torch.nn.LayerNorm` over the last axis; stacked weight and bias are ``[B, C]``."""

    def forward(self, input: Tensor) -> Tensor:
        if self.weight.dim() == 1:
            return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)
        if input.shape[0] == 1:  # the fused kernel also applies the affine part
            return F.layer_norm(input, self.normalized_shape, self.weight[0], self.bias[0], self.eps)
        normed = F.layer_norm(input, self.normalized_shape, None, None, self.eps)
        return torch.addcmul(_per_image(self.bias, input), normed, _per_image(self.weight, input))


class BatchNorm(nn.BatchNorm2d):
    """:class:`torch.nn.BatchNorm2d` for channels in the last axis.

    With stacked weights (``[B, C]``) every image is normalized by its own mean and variance, as if it were
    alone; running statistics are then neither read in training mode nor updated.
    """

    def forward(self, input: Tensor) -> Tensor:
        if self.weight.dim() == 1:
            # a channels-last view: PyTorch's batch norm has a kernel for it, so nothing is copied
            return super().forward(input.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        if not self.training and self.running_mean is not None and self.running_var is not None:
            scale = self.weight * torch.rsqrt(self.running_var + self.eps)
            shift = self.bias - self.running_mean * scale
            return torch.addcmul(_per_image(shift, input), input, _per_image(scale, input))
        if input.shape[0] == 1:
            image = input.permute(0, 3, 1, 2)
            out = F.batch_norm(image, None, None, self.weight[0], self.bias[0], True, 0.0, self.eps)
            return out.permute(0, 2, 3, 1)
        var, mean = torch.var_mean(input, dim=(1, 2), correction=0)
        scale = self.weight * torch.rsqrt(var + self.eps)
        return torch.addcmul(_per_image(self.bias - mean * scale, input), input, _per_image(scale, input))


class OverlapPatchEmbedding(nn.Module):
    """A 3 x 3 convolution with padding 1 (overlapping patches), then batch norm, image to tokens.

    Args:
        in_channels: channels of the image.
        embed_dim: channels of a token.
        stride: distance of neighboring patches in pixels.
    """

    def __init__(self, in_channels: int, embed_dim: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.proj = Linear(9 * in_channels, embed_dim)
        self.norm = BatchNorm(embed_dim)

    def forward(self, image: Tensor) -> Tensor:
        """Embed images ``[B, C, H, W]`` as tokens ``[B, ceil(H / stride), ceil(W / stride), D]``."""
        height, width = ((size - 1) // self.stride + 1 for size in image.shape[-2:])
        # As a matrix product the few input channels cost little, and the tokens come out in their final
        # layout.
        patches = F.unfold(image, kernel_size=3, padding=1, stride=self.stride)
        tokens = patches.mT.contiguous().view(image.shape[0], height, width, -1)
        out: Tensor = self.norm(self.proj(tokens))
        return out


def depthwise3x3(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Depth-wise 3 x 3 convolution of tokens ``[B, H, W, C]``, zero padded.

    Args:
        x: the tokens.
        weight: ``[C, 1, 3, 3]``, or stacked ``[B, C, 1, 3, 3]``.
        bias: ``[C]``, or stacked ``[B, C]``, or none.
    """
    maps = x.permute(0, 3, 1, 2)
    if weight.dim() == 5:  # images become groups
        out = F.conv2d(
            maps.reshape(1, -1, *maps.shape[2:]),
            weight.flatten(0, 1),
            None if bias is None else bias.flatten(),
            padding=1,
            groups=weight.shape[:2].numel(),
        ).view(maps.shape)
    else:
        out = F.conv2d(maps, weight, bias, padding=1, groups=weight.shape[0])
    return out.permute(0, 2, 3, 1)


def _per_image(values: Tensor, tokens: Tensor) -> Tensor:
    """``[B, C]`` shaped for broadcasting over the tokens of each image."""
    return values.view(values.shape[0], *[1] * (tokens.dim() - 2), values.shape[-1])
