"""MS-Former: a small two-branch transformer that clusters the pixels of one image, without labels.

Karimijafarbigloo, Azad, Kazerouni, Merhof: "MS-Former: Multi-Scale Self-Guided Transformer for Medical Image
Segmentation", MIDL 2023. Published as a notebook (github.com/mindflow-institue/MS-Former, MIT license);
this is an independent implementation of the same function, for images of any size.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from medseg.networks.layers.feed_forward import MixFFNSkip

# The published factor in front of the patch scores, whatever the width of the embedding.
_PATCH_ATTENTION_SCALE = 64**-0.5


class MSFormerFeatures(NamedTuple):
    """What the self-supervised losses need."""

    scores: Tensor  # cluster scores `[B, num_clusters, H, W]`, unbounded
    patch_attention: Tensor  # similarity of the patches of the score map, `[B, P, P]`; each row sums to 1
    contexts: tuple[Tensor, Tensor]  # of the fine and of the coarse branch, each `[B, embed_dim, embed_dim]`


class TokenBatchNorm(nn.BatchNorm2d):
    """`torch.nn.BatchNorm2d` for tokens `[B, H, W, C]`."""

    def forward(self, input: Tensor) -> Tensor:
        """Normalize each channel over batch, height and width; the shape stays."""
        # a channels-last view, for which PyTorch has a kernel: nothing is copied
        return super().forward(input.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


class OverlapPatchEmbedding(nn.Module):
    """A 3 x 3 convolution with padding 1 (overlapping patches), then batch norm; `stride` in pixels."""

    def __init__(self, in_channels: int, embed_dim: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.proj = nn.Linear(9 * in_channels, embed_dim)
        self.norm = TokenBatchNorm(embed_dim)

    def forward(self, image: Tensor) -> Tensor:
        """Embed images `[B, C, H, W]` as tokens `[B, ceil(H / stride), ceil(W / stride), D]`."""
        height, width = ((size - 1) // self.stride + 1 for size in image.shape[-2:])
        # With so few input channels a matrix product is fast, and the tokens come out in their final layout.
        patches = F.unfold(image, kernel_size=3, padding=1, stride=self.stride)
        return self.norm(self.proj(patches.mT.contiguous().view(image.shape[0], height, width, -1)))


class EfficientAttention(nn.Module):
    """Attention linear in the number of tokens.

    Shen et al.: "Efficient Attention: Attention with Linear Complexities", WACV 2021: softmax of the keys over
    positions, of the queries over channels; one head, no scale. Values and output projection are applied to the `C x C`
    context instead of to every token, which is the same because both softmaxes sum to one: it saves two of six matrix
    products over all tokens.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.keys = nn.Linear(dim, dim)
        self.queries = nn.Linear(dim, dim)
        self.values = nn.Linear(dim, dim)
        self.projection = nn.Linear(dim, dim)

    def forward(self, x: Tensor, residual: Tensor) -> tuple[Tensor, Tensor]:
        """Attend within each image of `[B, H, W, C]`: `residual` plus the attention, and the context `[B, C, C]`."""
        tokens = x.flatten(1, 2)
        keys = self.keys(tokens)
        # softmax over positions, its denominator applied after the sum over positions
        weights = (keys - keys.detach().amax(1, keepdim=True)).exp()
        pooled = (weights.mT @ tokens) / weights.sum(1).unsqueeze(-1)
        context = self.values(pooled)
        out = torch.baddbmm(residual.flatten(1, 2), self.queries(tokens).softmax(-1), self.projection(context))
        return out.view_as(x), context


class EfficientBlock(nn.Module):
    """Efficient attention and mix-FFN, each behind a layer norm and with a residual, then batch norm."""

    def __init__(self, dim: int, hidden_dim: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim)
        self.attn = EfficientAttention(dim)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = MixFFNSkip(dim, hidden_dim)
        self.norm_out = TokenBatchNorm(dim)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens `[B, H, W, C]` to tokens of the same shape, and the attention's context."""
        x, context = self.attn(self.norm1(x), x)
        return self.norm_out(x + self.mlp(self.norm2(x))), context


class MSFormer(nn.Module):
    """Cluster scores of every pixel from a fine (stride 1) and a coarse (stride 2) transformer branch.

    At 257 x 257 this is the published function. Other sizes extend it so: the coarse branch has `ceil(H / 2)` rows and
    is upsampled by two, then cropped to the image's size; the patches of the intra-scale attention tile the score map
    from the top left, what is left over at the right and bottom is not seen by it, and a map smaller than one patch is
    padded with its mean. In training mode batch norm needs more than one token per channel: at least 3 x 1 pixels.

    Args:
        spatial_dims: 2; present because MONAI networks have it.
        in_channels: channels of the image, 1 for gray.
        num_clusters: channels of the output, the greatest number of labels.
        embed_dim: channels of a token.
        depths: transformer blocks of the fine and of the coarse branch, at least one each.
        mlp_ratio: width of the feed-forward part relative to `embed_dim`.
        patch_size: side in pixels of the patches that the intra-scale attention compares.

    Raises:
        ValueError: when an argument is out of its range.
    """

    def __init__(
        self,
        spatial_dims: int = 2,
        in_channels: int = 3,
        num_clusters: int = 100,
        embed_dim: int = 100,
        depths: Sequence[int] = (2, 2),
        mlp_ratio: int = 4,
        patch_size: int = 32,
    ) -> None:
        super().__init__()
        if spatial_dims != 2:
            raise ValueError(f"MSFormer works on 2-D images, got spatial_dims={spatial_dims}.")
        if len(depths) != 2 or min(depths) < 1:
            raise ValueError(f"MSFormer needs two depths of at least 1 (fine and coarse branch), got {depths}.")
        if min(in_channels, num_clusters, embed_dim, mlp_ratio, patch_size) < 1:
            raise ValueError("MSFormer's channels, clusters, widths and patch size must be at least 1.")
        self.in_channels = in_channels
        self.num_clusters = num_clusters
        self.patch_size = patch_size
        hidden_dim = mlp_ratio * embed_dim
        # Layers are made in the published order, so that a seed draws the published initial weights.
        self.embed_fine = OverlapPatchEmbedding(in_channels, embed_dim, stride=1)
        self.embed_coarse = OverlapPatchEmbedding(in_channels, embed_dim, stride=2)
        self.fine, self.coarse = (
            nn.ModuleList([EfficientBlock(embed_dim, hidden_dim) for _ in range(depth)]) for depth in depths
        )
        self.upsample = nn.Linear(embed_dim, 4 * embed_dim, bias=False)
        # one layer over both branches, coarse first: two would start from larger weights
        self.head = nn.Linear(2 * embed_dim, num_clusters, bias=False)
        self.embed_patch = nn.Linear(num_clusters * patch_size**2, embed_dim)
        self.norm_scores = TokenBatchNorm(num_clusters)

    def forward(self, x: Tensor) -> Tensor:
        """Cluster scores `[B, num_clusters, H, W]` of images `[B, in_channels, H, W]`."""
        (fine, _), (coarse, _) = self._branches(x)
        return self._scores(fine, coarse).permute(0, 3, 1, 2)

    def forward_features(self, x: Tensor) -> MSFormerFeatures:
        """Cluster scores of images `[B, in_channels, H, W]`, with what the losses need."""
        (fine, context_fine), (coarse, context_coarse) = self._branches(x)
        scores = self._scores(fine, coarse)
        attention = self._patch_attention(self.norm_scores(scores))
        return MSFormerFeatures(scores.permute(0, 3, 1, 2), attention, (context_fine, context_coarse))

    def _branches(self, x: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Tokens `[B, H / stride, W / stride, C]` (rounded up) of each branch, and its last block's context."""
        out = []
        for embed, blocks in ((self.embed_fine, self.fine), (self.embed_coarse, self.coarse)):
            tokens, context = embed(x), x
            for block in blocks:
                tokens, context = block(tokens)
            out.append((tokens, context))
        return out

    def _scores(self, fine: Tensor, coarse: Tensor) -> Tensor:
        """Join the branches' tokens into score tokens `[B, H, W, num_clusters]`."""
        batch, height, width, dim = fine.shape
        # Upsampling and head are both linear: their product maps a coarse token to the scores of its 2 x 2 pixels.
        to_pixels = self.upsample.weight.view(4, dim, dim)
        head_coarse, head_fine = self.head.weight.split(dim, dim=1)
        kernel = (head_coarse @ to_pixels).reshape(4 * self.num_clusters, dim)
        pixels = coarse.flatten(1, 2) @ kernel.mT
        pixels = pixels.view(batch, *coarse.shape[1:3], 2, 2, self.num_clusters)
        upsampled = pixels.transpose(2, 3).reshape(batch, 2 * coarse.shape[1], 2 * coarse.shape[2], self.num_clusters)
        scores = (fine.flatten(1, 2) @ head_fine.mT).view(batch, height, width, self.num_clusters)
        return scores + upsampled[:, :height, :width]

    def _patch_attention(self, scores: Tensor) -> Tensor:
        """Compare the patches of two crops of the normalized scores that are one pixel apart."""
        side = self.patch_size
        missing = [max(0, side + 1 - size) for size in scores.shape[1:3]]
        scores = F.pad(scores, (0, 0, 0, missing[1], 0, missing[0]))
        rows, columns = ((size - 1) // side for size in scores.shape[1:3])
        shifted = [
            scores[:, offset : offset + rows * side, offset : offset + columns * side]
            .unflatten(2, (columns, side))
            .unflatten(1, (rows, side))
            .transpose(2, 3)
            .reshape(scores.shape[0], rows * columns, -1)
            for offset in (1, 0)
        ]
        queries, keys = self.embed_patch(torch.cat(shifted, dim=1)).chunk(2, dim=1)
        return (queries @ keys.mT * _PATCH_ATTENTION_SCALE).softmax(-1)
