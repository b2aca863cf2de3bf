"""SSFormer: a pyramid transformer encoder and a decoder that fuses its levels step by step.

Paper: Wang et al., Stepwise Feature Fusion: Local Guides Global, MICCAI 2022, https://arxiv.org/abs/2203.03635.
SSFormer-S is `encoder="mit_b2"`, SSFormer-L is `encoder="mit_b4"`, both with `decoder="pld"`.
"""

from collections.abc import Mapping
from os import PathLike
from typing import Any

from torch import Tensor, nn

from medseg.networks.checkpoints.load import load_pretrained
from medseg.networks.decoders import build_decoder
from medseg.networks.encoders import build_encoder
from medseg.networks.layers.fusion import resize


class SSFormer(nn.Module):
    """Any encoder of `medseg.networks.encoders` with any decoder of `medseg.networks.decoders`.

    Args:
        spatial_dims: number of spatial dimensions; only 2.
        in_channels: channels of the image.
        out_channels: channels of the logits: 1 for a sigmoid, one per class for a softmax.
        encoder: a key of `medseg.networks.ENCODERS`.
        decoder: a key of `medseg.networks.DECODERS`.
        decoder_channels: width of the decoder; `None` for the published width of this decoder.
        decoder_options: further arguments of the decoder's class; for published weights see `PUBLISHED_VARIANTS`.
        dropout: dropout before the decoder's last convolution.
        drop_path: stochastic depth of the encoder's last block; `None` for the published rate of this encoder.
        pretrained: weights to start from, of the whole network or of the encoder alone: a file, ours or published,
            a name of `medseg.networks.checkpoints.PRETRAINED`, or `imagenet`; `None` for random weights.

    Raises:
        ValueError: if `spatial_dims` is not 2, a name is unknown, the encoder has not as many levels as the decoder
            needs, or the file does not fit the network.
    """

    def __init__(
        self,
        spatial_dims: int = 2,
        in_channels: int = 3,
        out_channels: int = 1,
        encoder: str = "mit_b2",
        decoder: str = "pld",
        decoder_channels: int | None = None,
        decoder_options: Mapping[str, Any] | None = None,
        dropout: float = 0.1,
        drop_path: float | None = None,
        pretrained: str | PathLike[str] | None = None,
    ) -> None:
        super().__init__()
        if spatial_dims != 2:
            raise ValueError(f"SSFormer works on 2-D images, spatial_dims must be 2, got {spatial_dims}.")
        self.encoder = build_encoder(encoder, in_channels, drop_path)
        self.decoder = build_decoder(
            decoder, self.encoder.out_channels, out_channels, decoder_channels, dropout, decoder_options
        )
        self.align_corners = self.decoder.align_corners
        if pretrained is not None:
            load_pretrained(self, pretrained, encoder)

    def forward(self, x: Tensor) -> Tensor | list[Tensor]:
        """Image `[B, in_channels, H, W]`, H and W from 64 up, to logits `[B, out_channels, H, W]`.

        In training, a decoder with deep supervision makes it a list of such logits, the prediction first, as
        `monai.losses.DeepSupervisionLoss` takes it.
        """
        outputs: list[Tensor] = []
        for logits in self.decoder(self.encoder(x)):
            outputs.append(resize(logits, x.shape[2], x.shape[3], self.align_corners))
        if len(outputs) == 1:
            return outputs[0]
        return outputs
