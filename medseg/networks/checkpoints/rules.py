r"""The rules that rename the keys of each kind of weight file to ours.

A `RuleSet` applies to the files in which some key matches its signature. The renames are ordered regular expressions,
each applied to the result of the one before; in a replacement `{\1-1}` decreases the number in group 1 by one, and
`@0`, `@1` mark the parts of one tensor of ours, which are concatenated along the first axis.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class RuleSet:
    """The rules for one kind of encoder or decoder in a file."""

    name: str  # shown to the user
    signature: str  # pattern that some key of such a file matches, after the renames of `ANY_FILE`
    unless: str | None = None  # pattern that no key of such a file matches
    renames: tuple[tuple[str, str], ...] = ()  # pattern and replacement
    dropped: tuple[tuple[str, str], ...] = ()  # pattern of source keys without effect, and why they are in the files
    adjust: tuple[tuple[str, Callable[[Tensor], Tensor]], ...] = ()  # pattern of a name of ours, change of its tensor
    published: bool = False  # of the SSFormer study, whose decoders need the options of `PUBLISHED_VARIANTS`
    decoder_options: Mapping[str, Any] = field(default_factory=dict)  # that the weights of other files need


def _twice_if_added(weight: Tensor) -> Tensor:
    """Write the sum of two maps, in one published PLD, as a concatenation whose halves have equal weights."""
    return torch.cat([weight, weight], dim=1) if weight.shape[0] == weight.shape[1] else weight


_CLASSIFIER = (r"^(backbone\.)?(head|norm)\.", "the ImageNet classifier")
_CLASS_TOKEN = (r"(^|\.)cls_token$", "the class token of the ImageNet classifier")
_DWCONV = (r"\.mlp\.dwconv\.dwconv\.", ".mlp.dwconv.")
# ConvModule of mmcv
_FUSE = (
    (r"^(decoder\.fuse(\.\d)?)\.bn\.", r"\1.norm."),
    (r"^decode_head\.linear_pred\.", "decoder.pred."),
    (r"^decode_head\.linear_c(\d)\.proj\.", r"decoder.embed.{\1-1}."),
)


def _efficientnet(name: str, depths: Sequence[int]) -> RuleSet:
    """EfficientNet numbers its blocks through, we number them in each of the four levels of these depths."""
    places = [f"{level}.blocks.{block}." for level, depth in enumerate(depths) for block in range(depth)]
    return RuleSet(
        name=name,
        signature=rf"^_blocks\.{len(places) - 1}\.",
        unless=rf"^_blocks\.{len(places)}\.",
        renames=(
            *((rf"^_blocks\.{i}\.", f"encoder.stages.{place}") for i, place in enumerate(places)),
            (r"^_conv_stem\.", "encoder.stages.0.stem.0."),
            (r"^_bn0\.", "encoder.stages.0.stem.1."),
            (r"\._(expand|depthwise|project)_conv\.", r".\1.0."),
            (r"\._bn0\.", ".expand.1."),
            (r"\._bn1\.", ".depthwise.1."),
            (r"\._bn2\.", ".project.1."),
        ),
        dropped=((r"^_(conv_head|bn1|fc)\.", "the ImageNet classifier"),),
    )


_NEVER_CALLED = "built by this published decoder and never called"

ANY_FILE = RuleSet(
    name="any",
    signature="",
    renames=((r"^module\.", ""),),  # DataParallel
    dropped=((r"(^|\.)total_(ops|params)$", "counters that a profiler left in the published checkpoints"),),
)

RULE_SETS: tuple[RuleSet, ...] = (
    RuleSet(name="medseg", signature=r"^(encoder\.stages|decoder)\."),
    RuleSet(
        name="encoder as published for SegFormer, PVT, SimViT and Shunted",
        signature=r"^(backbone\.)?patch_embed1\.",
        renames=(
            (r"^backbone\.", "encoder."),
            (r"^(patch_embed|pos_embed|block|norm)(?=\d)", r"encoder.\1"),
            (r"^encoder\.patch_embed(\d)\.", r"encoder.stages.{\1-1}.patch_embed."),
            (r"^encoder\.pos_embed(\d)$", r"encoder.stages.{\1-1}.patch_embed.pos_embed"),
            (r"^encoder\.block(\d)\.", r"encoder.stages.{\1-1}.blocks."),
            (r"^encoder\.norm(\d)\.", r"encoder.stages.{\1-1}.norm."),
            _DWCONV,
            (r"\.attn\.(q|kv)_proj\.", r".attn.\1."),
            (r"^(encoder\.stages\.0\.patch_embed)\.conv\.", r"\1.proj."),
            (r"\.attn\.(sr|norm|kv)(\d)\.", r".attn.\1.{\2-1}."),
            (r"\.attn\.local_conv(\d)\.", r".attn.local.{\1-1}."),
            (r"\.attn\.local_conv\.", ".attn.local."),
        ),
        dropped=(_CLASSIFIER, _CLASS_TOKEN),
        # PVT's last table of positions begins with the class token
        adjust=((r"^encoder\.stages\.3\.patch_embed\.pos_embed$", lambda table: table[:, 1:]),),
    ),
    RuleSet(
        name="encoder as published for CvT",
        signature=r"^(backbone\.)?stage0\.",
        renames=(
            (r"^(backbone\.)?stage(\d)\.", r"encoder.stages.\2."),
            (r"\.attn\.conv_proj_([qkv])\.conv\.", r".attn.conv_\1.0."),
            (r"\.attn\.conv_proj_([qkv])\.bn\.", r".attn.conv_\1.1."),
            (r"\.attn\.proj_([qkv])\.", r".attn.\1."),
        ),
        dropped=(_CLASSIFIER, _CLASS_TOKEN),
    ),
    RuleSet(
        name="encoder of Hugging Face's SegFormer",
        signature=r"^(segformer\.)?encoder\.patch_embeddings\.0\.",
        renames=(
            (r"^segformer\.", ""),
            (r"^encoder\.patch_embeddings\.(\d)\.layer_norm\.", r"encoder.stages.\1.patch_embed.norm."),
            (r"^encoder\.patch_embeddings\.(\d)\.", r"encoder.stages.\1.patch_embed."),
            (r"^encoder\.block\.(\d)\.", r"encoder.stages.\1.blocks."),
            (r"^encoder\.layer_norm\.(\d)\.", r"encoder.stages.\1.norm."),
            (r"\.layer_norm_(\d)\.", r".norm\1."),
            (r"\.attention\.self\.query\.", ".attn.q."),
            (r"\.attention\.self\.key\.", ".attn.kv@0."),
            (r"\.attention\.self\.value\.", ".attn.kv@1."),
            (r"\.attention\.self\.layer_norm\.", ".attn.norm."),
            (r"\.attention\.self\.sr\.", ".attn.sr."),
            (r"\.attention\.output\.dense\.", ".attn.proj."),
            (r"\.mlp\.dense(\d)\.", r".mlp.fc\1."),
            _DWCONV,
        ),
        dropped=((r"^classifier\.", "the ImageNet classifier"),),
    ),
    RuleSet(
        name="encoder of Hugging Face's SegFormer as transformers 5 holds it in memory",
        signature=r"^(segformer\.)?stages\.0\.patch_embeddings\.",
        renames=(
            (r"^(segformer\.)?stages\.", "encoder.stages."),
            (r"^(encoder\.stages\.\d)\.layer_norm\.", r"\1.norm."),
            (r"\.patch_embeddings\.proj\.", ".patch_embed.proj."),
            (r"\.patch_embeddings\.layer_norm\.", ".patch_embed.norm."),
            (r"\.layernorm_before\.", ".norm1."),
            (r"\.layernorm_after\.", ".norm2."),
            (r"\.attention\.q_proj\.", ".attn.q."),
            (r"\.attention\.k_proj\.", ".attn.kv@0."),
            (r"\.attention\.v_proj\.", ".attn.kv@1."),
            (r"\.attention\.o_proj\.", ".attn.proj."),
            (r"\.attention\.sequence_reduction\.sequence_reduction\.", ".attn.sr."),
            (r"\.attention\.sequence_reduction\.layer_norm\.", ".attn.norm."),
            _DWCONV,
        ),
        dropped=((r"^classifier\.", "the ImageNet classifier"),),
    ),
    RuleSet(
        name="decoder of Hugging Face's SegFormer",
        decoder_options={"align_corners": False},
        signature=r"^decode_head\.linear_(c|projections)\.0\.",
        renames=(
            (r"^decode_head\.linear_(c|projections)\.(\d)\.proj\.", r"decoder.embed.\2."),
            (r"^decode_head\.linear_fuse\.", "decoder.fuse.conv."),
            (r"^decode_head\.batch_norm\.", "decoder.fuse.norm."),
            (r"^decode_head\.classifier\.", "decoder.pred."),
        ),
    ),
    RuleSet(
        name="encoder of timm's PVT v2",
        signature=r"^patch_embed\.proj\.",
        renames=(
            (r"^patch_embed\.", "encoder.stages.0.patch_embed."),
            # `stages_0` where timm gives feature maps
            (r"^stages[._](\d)\.downsample\.", r"encoder.stages.\1.patch_embed."),
            (r"^stages[._](\d)\.", r"encoder.stages.\1."),
        ),
        dropped=(_CLASSIFIER,),
    ),
    _efficientnet("EfficientNet-Lite0", depths=(3, 2, 6, 5)),
    _efficientnet("EfficientNet-Lite1 or 2", depths=(4, 3, 8, 6)),
    RuleSet(
        name="published PLD decoder on four levels",
        published=True,
        signature=r"^decode_head\.linear_c4\.proj\.2\.",
        renames=(
            (r"^decode_head\.linear_fuse34\.", "decoder.fuse.0."),
            (r"^decode_head\.linear_fuse2\.", "decoder.fuse.1."),
            (r"^decode_head\.linear_fuse1\.", "decoder.fuse.2."),
            *_FUSE,
        ),
        dropped=((r"^decode_head\.linear_fuse\.", _NEVER_CALLED),),
        adjust=((r"^decoder\.fuse\.\d\.conv\.weight$", _twice_if_added),),
    ),
    RuleSet(
        name="published PLD decoder on three levels",
        published=True,
        signature=r"^decode_head\.linear_c1\.proj\.2\.",
        unless=r"^decode_head\.linear_c4\.",
        renames=(
            (r"^decode_head\.linear_fuse2\.", "decoder.fuse.0."),
            (r"^decode_head\.linear_fuse1\.", "decoder.fuse.1."),
            *_FUSE,
        ),
        dropped=((r"^decode_head\.linear_fuse(34)?\.", _NEVER_CALLED),),
    ),
    RuleSet(
        name="published SD or MLA decoder",
        published=True,
        signature=r"^decode_head\.linear_c1\.proj\.(weight|1\.running_mean)$",
        renames=((r"^decode_head\.linear_fuse\.", "decoder.fuse."), *_FUSE),
        dropped=((r"^decode_head\.linear_fuse(34|2|1)\.", _NEVER_CALLED),),
    ),
    RuleSet(
        name="published PUP decoder",
        published=True,
        signature=r"^decode_head\.conv_0\.",
        renames=(
            (r"^decode_head\.conv_4\.", "decoder.pred."),
            (r"^decode_head\.conv_(\d)\.", r"decoder.convs.\1.0."),
            (r"^decode_head\.syncbn_fc_(\d)\.", r"decoder.convs.\1.1."),
        ),
        dropped=((r"^decode_head\.linear_pred\.", _NEVER_CALLED),),
    ),
    RuleSet(
        name="published PPD decoder",
        published=True,
        signature=r"^CFM\.",
        renames=(
            (r"^Translayer2_0\.", "decoder.embed.0."),
            (r"^Translayer(\d)_1\.", r"decoder.embed.{\1-1}."),
            (r"^CFM\.conv_upsample(\d)\.", r"decoder.fusion.up.{\1-1}."),
            (r"^CFM\.conv_concat2\.", "decoder.fusion.merge.0."),
            (r"^CFM\.conv_concat3\.", "decoder.fusion.merge.1."),
            (r"^CFM\.conv4\.", "decoder.fusion.out."),
            (r"^ca\.", "decoder.channel_attention."),
            (r"^sa\.conv1\.", "decoder.spatial_attention.conv."),
            (r"^SAM\.conv_(state|proj|extend)\.", r"decoder.aggregation.\1."),
            (r"^SAM\.gcn\.conv1\.", "decoder.aggregation.mix_nodes."),
            (r"^SAM\.gcn\.conv2\.", "decoder.aggregation.mix_state."),
            (r"^out_CFM\.", "decoder.pred_fusion."),
            (r"^out_SAM\.", "decoder.pred_aggregation."),
            (r"^(decoder\.(embed|fusion)\..*)\.conv\.", r"\1.0."),
            (r"^(decoder\.(embed|fusion)\..*)\.bn\.", r"\1.1."),
        ),
    ),
)
