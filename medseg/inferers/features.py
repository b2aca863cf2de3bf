from collections.abc import Callable
from typing import Any

from monai.data.meta_tensor import MetaTensor
from monai.inferers import Inferer
from torch import Tensor


class FeatureInferer(Inferer):
    """Call `network.forward_features`, so that a trainer hands a self-supervised loss what it needs."""

    def __call__(self, inputs: Tensor, network: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Return the features of `inputs`; further arguments are ignored."""
        if isinstance(inputs, MetaTensor):  # no layer needs the meta data, which slows every operation
            inputs = inputs.as_tensor()
        return network.forward_features(inputs)  # type: ignore[attr-defined]
