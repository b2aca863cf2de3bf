"""A decoder that fuses all levels at once."""

from collections.abc import Iterable

import torch
from torch import nn

from medseg.networks.decoders.decoder import Decoder


class AlignedDecoder(Decoder):
    """Embed each level, bring all to the finest size and fuse them at once, predict.

    Args:
        embed: one module `map -> map` for each level, fine to coarse.
        fuse: module `(maps, height, width) -> map`; gets the embedded maps coarse to fine.
        pred: module `map -> logits`, after `dropout`.
        dropout, align_corners: as of every `Decoder`.
    """

    def __init__(
        self, embed: Iterable[nn.Module], fuse: nn.Module, pred: nn.Module, dropout: float, align_corners: bool
    ) -> None:
        super().__init__()
        self.embed = nn.ModuleList(embed)
        self.fuse = fuse
        self.dropout = nn.Dropout(dropout)
        self.pred = pred
        self.align_corners = align_corners

    def forward(self, maps: list[torch.Tensor]) -> list[torch.Tensor]:
        """Maps, fine to coarse, to one map of logits `[B, out_channels, h, w]` at the size of the finest."""
        levels: list[torch.Tensor] = []
        for i, embed in enumerate(self.embed):
            levels.append(embed(maps[i]))
        levels.reverse()
        fused = self.fuse(levels, maps[0].shape[2], maps[0].shape[3])
        return [self.pred(self.dropout(fused))]
