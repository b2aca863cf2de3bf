"""Pyramid encoders by name. A new one is a file here and a line in `ENCODERS`."""

from collections.abc import Callable
from functools import partial

from medseg.errors import InputError
from medseg.networks.encoders.cvt import ConvolutionalVisionTransformer
from medseg.networks.encoders.efficientnet import EfficientNetLite
from medseg.networks.encoders.mit import MixTransformer
from medseg.networks.encoders.pvt import PyramidVisionTransformer
from medseg.networks.encoders.pyramid import PyramidEncoder
from medseg.networks.encoders.shunted import ShuntedTransformer
from medseg.networks.encoders.simvit import SimVisionTransformer

__all__ = ["ENCODERS", "build_encoder"]

_PVT_V2 = partial(MixTransformer, mlp_ratios=(8, 8, 4, 4))

ENCODERS: dict[str, Callable[..., PyramidEncoder]] = {
    "mit_b0": partial(MixTransformer, channels=(32, 64, 160, 256), depths=(2, 2, 2, 2)),
    "mit_b1": partial(MixTransformer, depths=(2, 2, 2, 2)),
    "mit_b2": partial(MixTransformer, depths=(3, 4, 6, 3)),
    "mit_b3": partial(MixTransformer, depths=(3, 4, 18, 3)),
    "mit_b4": partial(MixTransformer, depths=(3, 8, 27, 3)),
    "mit_b5": partial(MixTransformer, depths=(3, 6, 40, 3)),
    "pvt_tiny": partial(PyramidVisionTransformer, depths=(2, 2, 2, 2)),
    "pvt_small": partial(PyramidVisionTransformer, depths=(3, 4, 6, 3)),
    "pvt_medium": partial(PyramidVisionTransformer, depths=(3, 4, 18, 3)),
    "pvt_large": partial(PyramidVisionTransformer, depths=(3, 8, 27, 3)),
    "pvt_v2_b0": partial(_PVT_V2, channels=(32, 64, 160, 256), depths=(2, 2, 2, 2)),
    "pvt_v2_b1": partial(_PVT_V2, depths=(2, 2, 2, 2)),
    "pvt_v2_b2": partial(_PVT_V2, depths=(3, 4, 6, 3)),
    "pvt_v2_b3": partial(_PVT_V2, depths=(3, 4, 18, 3)),
    "pvt_v2_b4": partial(_PVT_V2, depths=(3, 8, 27, 3)),
    # with these ratios PVT v2 b5 and MiT-b5 are one network
    "pvt_v2_b5": partial(MixTransformer, depths=(3, 6, 40, 3)),
    "cvt_13": partial(ConvolutionalVisionTransformer, depths=(1, 2, 10)),
    "cvt_21": partial(ConvolutionalVisionTransformer, depths=(1, 4, 16)),
    "simvit_tiny": partial(SimVisionTransformer, depths=(2, 4, 3, 2)),
    "simvit_small": partial(SimVisionTransformer, depths=(3, 6, 13, 3)),
    "shunted_tiny": partial(ShuntedTransformer, depths=(1, 2, 4, 1), stem_convs=0),
    "shunted_small": partial(ShuntedTransformer, depths=(2, 4, 12, 1), stem_convs=1),
    "shunted_base": partial(ShuntedTransformer, depths=(3, 4, 24, 2), stem_convs=2),
    "efficientnet_lite0": EfficientNetLite,
    "efficientnet_lite1": partial(EfficientNetLite, depths=(1, 3, 3, 4, 4, 5, 1)),
    "efficientnet_lite2": partial(
        EfficientNetLite, channels=(16, 24, 48, 88, 120, 208, 352), depths=(1, 3, 3, 4, 4, 5, 1)
    ),
}


def build_encoder(name: str, in_channels: int = 3, drop_path: float | None = None) -> PyramidEncoder:
    """The encoder called `name`, a key of `ENCODERS`, randomly initialized. Another name is an `InputError`.

    `drop_path` is the stochastic depth of the last block; `None` for the published rate, 0.1 in MiT, PVT and CvT, 0 in
    SimViT and Shunted, 0.2 in EfficientNet.
    """
    if name not in ENCODERS:
        raise InputError(f"encoder must be one of {', '.join(ENCODERS)}, got '{name}'.")
    return ENCODERS[name](in_channels=in_channels, **({} if drop_path is None else {"drop_path": drop_path}))
