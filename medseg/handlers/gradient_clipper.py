from dataclasses import dataclass

from ignite.engine import Engine
from monai.engines.utils import IterationEvents
from torch import nn


@dataclass(eq=False, repr=False)
class GradientClipper:
    """Scale all gradients down by one factor where their common norm is above a limit, before the optimizer's step.

    Args:
        network: the network that is trained.
        max_norm: greatest Euclidean norm of all gradients together, over 0.

    Raises:
        ValueError: when `max_norm` is not positive.
    """

    network: nn.Module
    max_norm: float

    def __post_init__(self) -> None:
        if self.max_norm <= 0:
            raise ValueError(f"max_norm must be positive, got {self.max_norm}.")

    def attach(self, engine: Engine) -> None:
        """Run after each backward pass of a MONAI trainer."""
        engine.add_event_handler(IterationEvents.BACKWARD_COMPLETED, self)

    def __call__(self, engine: Engine) -> None:
        """Clip the gradients that the network holds."""
        nn.utils.clip_grad_norm_(self.network.parameters(), self.max_norm)
