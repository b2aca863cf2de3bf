"""Checks that the losses share."""

import torch


def check_maps(logits: torch.Tensor, target: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Check that a loss got two maps of one shape and bring both to one floating type.

    Half precision is raised to float32: the sums over a whole image lose too much in bfloat16.

    Args:
        logits: network output `[B, C, H, W]`, any range.
        target: mask `[B, C, H, W]` in [0, 1], any dtype.

    Returns:
        `logits` and `target` in the same floating type.

    Raises:
        ValueError: if the maps are not four-dimensional or differ in shape.
    """
    if logits.ndim != 4:
        raise ValueError(f"The loss expects logits of shape [B, C, H, W], got {tuple(logits.shape)}.")
    if logits.shape != target.shape:
        raise ValueError(
            f"The loss expects logits and target of one shape, got {tuple(logits.shape)} and "
            f"{tuple(target.shape)}: resize the logits or add the channel axis to the target."
        )
    dtype = torch.promote_types(logits.dtype, torch.float32)
    return logits.to(dtype), target.to(dtype)
