from collections.abc import Iterable

from torch import Tensor, nn


class Decoder(nn.Module):
    """Turns the maps of any pyramid encoder into logits.

    Args of every subclass, which may have more:
        in_channels: channels of the encoder's maps, fine to coarse.
        out_channels: channels of the logits.
        channels: width of the decoder.
        dropout: probability with which an activation is dropped before the last convolution.

    Attributes:
        align_corners: corner convention in which the logits must be resized to the image.
    """

    align_corners = False

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Maps, fine to coarse, to logits `[B, out_channels, h, w]` at the decoder's own stride.

        The first entry is the prediction. In training, decoders with deep supervision append their auxiliary
        logits; in evaluation the list has one entry.
        """
        raise NotImplementedError


class AlignedDecoder(Decoder):
    """Embed each level, bring all to the finest size and fuse them at once, predict.

    Args:
        embed: one module `map -> map` for each level, fine to coarse.
        fuse: module `(maps, height, width) -> map`; gets the embedded maps coarse to fine.
        pred: module `map -> logits`, after `dropout`.
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

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Maps, fine to coarse, to one map of logits `[B, out_channels, h, w]` at the size of the finest."""
        levels: list[Tensor] = []
        for i, embed in enumerate(self.embed):
            levels.append(embed(maps[i]))
        levels.reverse()
        fused = self.fuse(levels, maps[0].shape[2], maps[0].shape[3])
        return [self.pred(self.dropout(fused))]
