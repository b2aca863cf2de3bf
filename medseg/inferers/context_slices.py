from collections.abc import Callable, Sequence
from typing import Any

import torch
from monai.data.meta_tensor import MetaTensor
from monai.inferers import SlidingWindowInferer
from torch import Tensor


class ContextSliceInferer(SlidingWindowInferer):
    """Run a 2-D network over the slices of a volume, each with its neighbors as channels (2.5-D).

    Slices lie along the last axis. They are taken `sw_batch_size` at a time; MONAI's sliding windows run within each.
    `monai.inferers.SliceInferer` has no neighbors, and keeps a map of weights as large as the volume.

    Args:
        roi_size: (H, W) of the windows in pixels; a slice smaller than that is padded with `cval`.
        context_slices: slices that the network sees at once, odd; the middle one is segmented. Beyond the ends of the
            volume the last slice is repeated.
        sw_batch_size: slices taken at a time, and windows per forward pass.
        kwargs: other arguments of `monai.inferers.SlidingWindowInferer`. The network runs on `sw_device`, the result
            is put together on `device` (by default both where the volume is); with `device="cpu"` a GPU holds no more
            than `sw_batch_size` slices.

    Raises:
        ValueError: if `context_slices` is even or below 1, or (on a call) the input has another shape.
    """

    def __init__(
        self, roi_size: Sequence[int] | int, context_slices: int = 1, sw_batch_size: int = 1, **kwargs: Any
    ) -> None:
        super().__init__(roi_size, sw_batch_size, **kwargs)
        if context_slices < 1 or context_slices % 2 == 0:
            raise ValueError(f"context_slices must be an odd number, got {context_slices}.")
        self.context_slices = context_slices

    def __call__(  # type: ignore[override]
        self, inputs: Tensor, network: Callable[..., Tensor], *args: Any, **kwargs: Any
    ) -> Tensor:
        """Volumes `[B, 1, H, W, D]`, D from 1 up, to `[B, C, H, W, D]` of the type and with the meta data of `inputs`.

        `network` takes slices `[N, context_slices, h, w]`, `args` and `kwargs`, and gives `[N, C, h, w]`.
        """
        if inputs.ndim != 5 or inputs.shape[1] != 1 or inputs.shape[-1] == 0:
            raise ValueError(f"Volumes must have the shape [B, 1, H, W, D], got {list(inputs.shape)}.")
        volumes = inputs.as_tensor() if isinstance(inputs, MetaTensor) else inputs
        depth = volumes.shape[-1]
        result: Tensor | None = None
        for index, volume in enumerate(volumes):
            for first in range(0, depth, self.sw_batch_size):
                stop = min(first + self.sw_batch_size, depth)
                slices = neighbor_slices(volume[0], first, stop, self.context_slices)
                logits: Any = super().__call__(slices, network, *args, **kwargs)  # (N, C, H, W)
                if result is None:
                    result = logits.new_empty(len(volumes), logits.shape[1], *volume.shape[1:])
                result[index, ..., first:stop] = logits.movedim(0, -1)
        if isinstance(inputs, MetaTensor):
            return MetaTensor(result).copy_meta_from(inputs, copy_attr=False)
        assert result is not None
        return result


def neighbor_slices(volume: Tensor, first: int, stop: int, context_slices: int) -> Tensor:
    """Slices `first` to `stop - 1` of a volume `[H, W, D]`, each with its neighbors: `[N, context_slices, H, W]`.

    Channel `context_slices // 2` is the slice itself; beyond either end the last slice is repeated.
    """
    reach = context_slices // 2
    offsets = torch.arange(-reach, reach + 1, device=volume.device)
    middles = torch.arange(first, stop, device=volume.device)
    indices = (middles[:, None] + offsets).clamp(0, volume.shape[-1] - 1)
    return volume[:, :, indices].permute(2, 3, 0, 1)
