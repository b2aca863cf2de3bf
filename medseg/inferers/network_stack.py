"""Many small networks of one architecture, fitted to as many images at once."""

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from medseg.losses.msformer import MSFormerLoss

__all__ = ["NetworkStack"]


class NetworkStack:
    """Networks of one architecture with stacked parameters, one per image, and the SGD that fits them.

    Args:
        template: the network whose weights all start from; it has ``forward_features``, and its layers take parameters
            with a leading axis of images (:mod:`medseg.networks.layers.stacked`).
        images: ``[B, C, H, W]``.
        loss: gives the losses per image.
        learning_rate: of SGD.
        momentum: of SGD.
    """

    def __init__(
        self, template: nn.Module, images: Tensor, loss: MSFormerLoss, learning_rate: float, momentum: float
    ) -> None:
        self.images = images
        self.loss = loss
        self.features = _Features(template)
        self.parameters = {
            f"network.{name}": value.expand(len(images), *value.shape).clone().requires_grad_()
            for name, value in template.named_parameters()
        }
        self.optimizer = torch.optim.SGD(
            list(self.parameters.values()), lr=learning_rate, momentum=momentum, fused=True
        )

    def step(self) -> tuple[list[float], list[int]]:
        """One step for each image; returns the losses and numbers of labels before it."""
        self.optimizer.zero_grad()
        features = functional_call(self.features, self.parameters, (self.images,))
        losses = self.loss.total(self.loss.parts(features))
        losses.sum().backward()
        self.optimizer.step()
        clusters = features.scores.shape[1]
        labels = features.scores.detach().argmax(1).flatten(1)
        seen = torch.zeros(len(labels), clusters, dtype=torch.bool, device=labels.device)
        counts = seen.scatter_(1, labels, True).sum(1)
        return losses.tolist(), counts.tolist()

    @torch.no_grad()
    def scores(self, places: Sequence[int]) -> Tensor:
        """Scores of some of the images with their networks as they are now."""
        parameters = {name: value[places] for name, value in self.parameters.items()}
        out: Tensor = functional_call(self.features, parameters, (self.images[places], True))
        return out

    def keep(self, places: Sequence[int]) -> None:
        """Go on with some of the images only."""
        self.images = self.images[places]
        group = self.optimizer.param_groups[0]
        for place, (name, value) in enumerate(list(self.parameters.items())):
            kept = value.detach()[places].requires_grad_()
            state = self.optimizer.state.pop(value)
            state["momentum_buffer"] = state["momentum_buffer"][places]
            self.optimizer.state[kept] = state
            self.parameters[name] = group["params"][place] = kept


class _Features(nn.Module):
    """Gives :func:`functional_call`, which only calls ``forward``, a way to ``forward_features``."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        # a copy: functional_call exchanges the parameters in place, and stacks may run side by side
        self.network: Any = copy.deepcopy(network)

    def forward(self, images: Tensor, scores_only: bool = False) -> Any:
        return self.network(images) if scores_only else self.network.forward_features(images)
