"""Networks: SSFormer (one encoder plus one decoder, chosen by name) and MS-Former."""

from medseg.networks.decoders import DECODERS, build_decoder
from medseg.networks.encoders import ENCODERS, build_encoder
from medseg.networks.msformer import MSFormer
from medseg.networks.parameter_groups import parameter_groups
from medseg.networks.ssformer import SSFormer
from medseg.networks.variants import PUBLISHED_VARIANTS

__all__ = [
    "DECODERS",
    "ENCODERS",
    "PUBLISHED_VARIANTS",
    "MSFormer",
    "SSFormer",
    "build_decoder",
    "build_encoder",
    "parameter_groups",
]
