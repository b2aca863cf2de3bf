"""A forward pass in bfloat16."""

from collections.abc import Callable
from typing import Any

import torch
from monai.data import MetaTensor
from monai.inferers import Inferer


class AutocastInferer(Inferer):
    """One forward pass in bfloat16 where that is accurate enough, on any device; the result is float32.

    MONAI's engines autocast on CUDA only (`amp=True` does nothing on a CPU). bfloat16 has the range of float32, so
    the gradients need no scaling, and the loss is computed in float32 outside.

    Args:
        enabled: False for a plain pass in the weights' own type.
    """

    def __init__(self, enabled: bool = True) -> None:
        super().__init__()
        self.enabled = enabled

    def __call__(self, inputs: torch.Tensor, network: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Outputs of `network` for `inputs` `[B, C, H, W]`: a tensor or, in training, maybe a list of tensors."""
        if isinstance(inputs, MetaTensor):
            inputs = inputs.as_tensor()  # each operation on a MetaTensor copies its metadata
        with torch.autocast(inputs.device.type, torch.bfloat16, enabled=self.enabled):
            outputs = network(inputs, *args, **kwargs)
        return [output.float() for output in outputs] if isinstance(outputs, list) else outputs.float()
