"""The networks of the published SSFormer study, as arguments of `SSFormer`.

The published networks differ in details that their weights depend on, and that are not our defaults for new networks.
They are listed here only.
"""

from typing import Any

_MLA_CONCATENATED = {"level_align_corners": True}
_MLA_FUSED = {"fuse": True, "align_corners": True}
# published PUP makes its maps square, whatever the image
_PUP = {"square": True}

PUBLISHED_VARIANTS: dict[str, dict[str, Any]] = {
    "mit_PLD_b2": {"encoder": "mit_b2", "decoder": "pld"},  # SSFormer-S
    "mit_PLD_b4": {"encoder": "mit_b4", "decoder": "pld"},  # SSFormer-L
    # adds where PLD concatenates: the same as a concatenation whose two halves have equal weights
    "mit_PLD_add": {"encoder": "mit_b2", "decoder": "pld"},
    "mit_SD": {"encoder": "mit_b2", "decoder": "simple"},
    "mit_mla": {"encoder": "mit_b2", "decoder": "mla", "decoder_options": _MLA_CONCATENATED},
    # the published network returns the decoder's logits, half the size of the image, without the last resize
    "mit_pup": {"encoder": "mit_b2", "decoder": "pup", "decoder_options": _PUP},
    "mit_PPD": {"encoder": "mit_b2", "decoder": "ppd"},
    "pvt_PLD": {"encoder": "pvt_small", "decoder": "pld"},
    "pvt_SD": {"encoder": "pvt_small", "decoder": "simple"},
    "pvt_mla": {"encoder": "pvt_small", "decoder": "mla", "decoder_options": _MLA_FUSED},
    "pvt_pup": {"encoder": "pvt_small", "decoder": "pup", "decoder_options": _PUP},
    "pvt_PPD": {"encoder": "pvt_v2_b2", "decoder": "ppd"},  # Polyp-PVT
    "simVit_PLD": {"encoder": "simvit_tiny", "decoder": "pld"},
    "simVit_SD": {"encoder": "simvit_tiny", "decoder": "simple"},
    "simVit_mla": {"encoder": "simvit_tiny", "decoder": "mla", "decoder_channels": 256, "decoder_options": _MLA_FUSED},
    "simVit_pup": {"encoder": "simvit_tiny", "decoder": "pup", "decoder_options": _PUP},
    "ssa_PLD": {"encoder": "shunted_small", "decoder": "pld"},
    "ssa_SD": {"encoder": "shunted_small", "decoder": "simple"},
    "ssa_mla": {"encoder": "shunted_small", "decoder": "mla", "decoder_options": _MLA_FUSED},
    "ssa_pup": {"encoder": "shunted_small", "decoder": "pup", "decoder_options": _PUP},
    "cvt_PLD": {"encoder": "cvt_21", "decoder": "pld"},
    "cvt_SD": {"encoder": "cvt_21", "decoder": "simple"},
    "cvt_mla": {"encoder": "cvt_21", "decoder": "mla"},
    "cvt_pup": {"encoder": "cvt_21", "decoder": "pup", "decoder_options": _PUP},
}


def published_decoder_options(encoder: str, decoder: str) -> dict[str, Any]:
    """The `decoder_options` that published weights of this encoder's family and this decoder need."""
    family = encoder.partition("_")[0]
    for arguments in PUBLISHED_VARIANTS.values():
        if arguments["encoder"].partition("_")[0] == family and arguments["decoder"] == decoder:
            return dict(arguments.get("decoder_options", {}))
    return {}
