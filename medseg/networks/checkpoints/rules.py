"""How published key names become ours, as ordered regular expressions, and which keys are left behind."""

from __future__ import annotations

__all__ = ["LEFT_BEHIND", "RENAMES"]

# Applied top to bottom, each to the result of the one before. `{i-1}` counts a published 1-based number down.
RENAMES: tuple[tuple[str, str], ...] = (
    (r"^module\.", ""),  # DataParallel
    (r"^backbone\.", "encoder."),
    (
        r"^(patch_embed|block|norm)(?=\d)",
        r"encoder.\1",
    ),  # an encoder published alone, e.g. SegFormer's mit_b2.pth
    (r"^encoder\.patch_embed(\d)\.", r"encoder.stages.{i-1}.patch_embed."),
    (r"^encoder\.block(\d)\.", r"encoder.stages.{i-1}.blocks."),
    (r"^encoder\.norm(\d)\.", r"encoder.stages.{i-1}.norm."),
    (r"\.mlp\.dwconv\.dwconv\.", r".mlp.dwconv."),
    (r"^decode_head\.linear_c(\d)\.proj\.", r"decoder.embed.{i-1}."),
    (r"^decode_head\.linear_fuse34\.", "decoder.fuse.0."),
    (r"^decode_head\.linear_fuse2\.", "decoder.fuse.1."),
    (r"^decode_head\.linear_fuse1\.", "decoder.fuse.2."),
    (r"^(decoder\.fuse\.\d)\.bn\.", r"\1.norm."),
    (r"^decode_head\.linear_pred\.", "decoder.pred."),
)

# Published keys that no output depends on, with the reason each is in the files.
LEFT_BEHIND: tuple[tuple[str, str], ...] = (
    (r"(^|\.)total_(ops|params)$", "counters that a profiler left in the published checkpoints"),
    (r"^decode_head\.linear_fuse\.", "built by the published PLD decoder and never called"),
    (r"^(backbone\.|encoder\.)?head\.", "the ImageNet classifier"),
)
