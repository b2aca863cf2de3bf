"""Networks: SSFormer (one encoder plus one decoder, chosen by name) and MS-Former."""

from __future__ import annotations

from .decoders import DECODERS, build_decoder
from .encoders import ENCODERS, build_encoder
from .msformer import MSFormer
from .parameter_groups import parameter_groups
from .ssformer import SSFormer
from .variants import PUBLISHED_VARIANTS

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
