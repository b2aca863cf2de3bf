import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state

from medseg.losses.msformer import MSFormerLoss


class NetworkStack:
    """Networks of one architecture, one per image, and the SGD that fits them.

    Several networks run as one (PyTorch's model ensembling, `torch.vmap`), which fills a GPU. A single network runs as
    it is.

    Args:
        network: the weights that all networks start from; it has `forward_features`, and its batch norms keep no
            running statistics (`torch.func.replace_all_batch_norm_modules_`).
        images: `[B, C, H, W]`.
        loss: gives one loss per image.
        learning_rate, momentum: of SGD.
    """

    def __init__(
        self, network: nn.Module, images: Tensor, loss: MSFormerLoss, learning_rate: float, momentum: float
    ) -> None:
        self.images = images
        self.loss = loss
        self.network = _Features(network)
        self.parameters, _ = stack_module_state([self.network] * len(images))
        values = list(self.parameters.values())
        self.optimizer = torch.optim.SGD(values, lr=learning_rate, momentum=momentum, fused=True)

    def step(self) -> tuple[list[float], list[int]]:
        """Take one step for each image; return the losses and the numbers of labels before it."""
        self.optimizer.zero_grad()
        losses, scores = self._run(self.parameters, self.images)
        losses.sum().backward()
        self.optimizer.step()
        labels = scores.detach().argmax(1).flatten(1)
        seen = torch.zeros(scores.shape[:2], dtype=torch.bool, device=labels.device)
        return losses.tolist(), seen.scatter_(1, labels, True).sum(1).tolist()

    @torch.no_grad()
    def scores(self, indices: Sequence[int]) -> Tensor:
        """Return the scores `[N, num_clusters, H, W]` that the present networks give their images."""
        return self._run({name: value[indices] for name, value in self.parameters.items()}, self.images[indices])[1]

    def keep(self, indices: Sequence[int]) -> None:
        """Go on with these images only."""
        self.images = self.images[indices]
        group = self.optimizer.param_groups[0]
        for position, (name, value) in enumerate(list(self.parameters.items())):
            kept = value.detach()[indices].requires_grad_()
            state = self.optimizer.state.pop(value)
            state["momentum_buffer"] = state["momentum_buffer"][indices]
            self.optimizer.state[kept] = state
            self.parameters[name] = group["params"][position] = kept

    def _run(self, parameters: dict[str, Any], images: Tensor) -> tuple[Tensor, Tensor]:
        """Losses `[B]` and scores `[B, num_clusters, H, W]` of each image with its own network."""

        def run_one(parameters: dict[str, Any], image: Tensor) -> tuple[Tensor, Tensor]:
            features = functional_call(self.network, parameters, (image.unsqueeze(0),))
            return self.loss.total(self.loss.parts(features)).squeeze(0), features.scores.squeeze(0)

        if len(images) > 1:
            return torch.vmap(run_one)(parameters, images)
        loss, score = run_one({name: value.squeeze(0) for name, value in parameters.items()}, images[0])
        return loss.unsqueeze(0), score.unsqueeze(0)


class _Features(nn.Module):
    """Makes `forward_features` what `functional_call` calls."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        # a copy: `functional_call` exchanges the parameters in place, and stacks run side by side in threads
        self.network: Any = copy.deepcopy(network)

    def forward(self, images: Tensor) -> Any:
        return self.network.forward_features(images)
