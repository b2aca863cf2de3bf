from collections.abc import Callable
from typing import Any

import torch
from monai.data import MetaTensor
from monai.inferers import Inferer, SimpleInferer


class AutocastInferer(Inferer):
    """Forward passes in bfloat16 where that is accurate enough, on any device; results are float32.

    MONAI's engines autocast on CUDA only (`amp=True` does nothing on a CPU). bfloat16 has the range of float32, so
    the gradients need no scaling, and the loss is computed in float32 outside.

    Args:
        enabled: False for plain passes in the weights' own type.
        inferer: what calls the network, for example on windows; None for one pass on all inputs.
    """

    def __init__(self, enabled: bool = True, inferer: Inferer | None = None) -> None:
        super().__init__()
        self.enabled = enabled
        self.inferer = SimpleInferer() if inferer is None else inferer

    def __call__(self, inputs: torch.Tensor, network: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Outputs of `network` for `inputs` `[B, C, ...]`: a tensor or, in training, maybe a list of tensors."""

        def forward(images: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
            if isinstance(images, MetaTensor):
                images = images.as_tensor()  # each operation on a MetaTensor copies its metadata
            with torch.autocast(images.device.type, torch.bfloat16, enabled=self.enabled):
                outputs = network(images, *args, **kwargs)
            return [output.float() for output in outputs] if isinstance(outputs, list) else outputs.float()

        return self.inferer(inputs, forward, *args, **kwargs)
