"""The interface of all decoders."""

import torch
from torch import nn


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

    def forward(self, maps: list[torch.Tensor]) -> list[torch.Tensor]:
        """Maps, fine to coarse, to logits `[B, out_channels, h, w]` at the decoder's own stride.

        The first entry is the prediction. In training, decoders with deep supervision append their auxiliary
        logits; in evaluation the list has one entry.
        """
        raise NotImplementedError
