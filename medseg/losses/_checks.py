"""Checks that the losses share."""

import torch


def check_maps(logits: torch.Tensor, target: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits `[B, C, H, W]` of any range and a mask `[B, C, H, W]` in [0, 1], any dtype, in one floating type.

    Half precision is raised to float32: the sums over a whole image lose too much in bfloat16.

    Raises:
        ValueError: if the maps are not four-dimensional or differ in shape.
    """
    if logits.ndim != 4:
        raise ValueError(f"The loss expects logits of shape [B, C, H, W], got {tuple(logits.shape)}.")
    if logits.shape != target.shape:
        shapes = f"{tuple(logits.shape)} and {tuple(target.shape)}"
        remedy = "resize the logits or add the channel axis to the target"
        raise ValueError(f"The loss expects logits and target of one shape, got {shapes}: {remedy}.")
    dtype = torch.promote_types(logits.dtype, torch.float32)
    return logits.to(dtype), target.to(dtype)
