import torch
from torch import nn

__all__ = ["Decoder"]


class Decoder(nn.Module):
    """What every decoder promises: encoder maps in, logits out, no knowledge of the encoder.

    A subclass takes `(in_channels, out_channels, channels, dropout)`, where `in_channels` lists the encoder's
    levels fine to coarse.

    Attributes:
        align_corners: corner convention in which the logits must be resized to the image.
    """

    # without annotation: TorchScript cannot read a postponed one
    align_corners = False

    def forward(self, maps: list[torch.Tensor]) -> list[torch.Tensor]:
        """Maps, fine to coarse, to logits `[B, out_channels, h, w]` at the decoder's own stride.

        The first entry is the prediction. In training, decoders with deep supervision append their auxiliary
        logits; in evaluation the list has one entry.
        """
        raise NotImplementedError
