from typing import NamedTuple

import torch
import torch.nn.functional as F
from monai.utils import LossReduction, look_up_option
from torch import Tensor
from torch.nn.modules.loss import _Loss

from medseg.networks.msformer import MSFormerFeatures

# Weights of the inter-scale and of the intra-scale loss; that of the cross-entropy is 1.
# The notebook fits a network in two cells: the first only shows clusters, the second also scores them.
NOTEBOOK_PREVIEW_WEIGHTS = (2.0, 1.2)
NOTEBOOK_SCORED_WEIGHTS = (1.5, 1.3)


class MSFormerLossParts(NamedTuple):
    """The unweighted losses of each image, each `[B]`."""

    cross_entropy: Tensor
    inter: Tensor
    intra: Tensor


class MSFormerLoss(_Loss):
    """Self-supervised loss of MS-Former (Karimijafarbigloo et al., MIDL 2023).

    The weighted sum of three terms:

    - cross-entropy of the scores with their own argmax as target, mean over pixels: it sharpens the clusters;
    - inter-scale: one minus the cosine between the rows of the two branches' contexts, mean over rows;
    - intra-scale: mean absolute difference of the patch attention and the identity.

    Args:
        inter_weight: weight of the inter-scale loss.
        intra_weight: weight of the intra-scale loss.
        reduction: "mean" or "sum" over the images, or "none" for a loss per image `[B]`.

    Raises:
        ValueError: for another `reduction`.
    """

    def __init__(
        self,
        inter_weight: float = NOTEBOOK_SCORED_WEIGHTS[0],
        intra_weight: float = NOTEBOOK_SCORED_WEIGHTS[1],
        reduction: LossReduction | str = LossReduction.MEAN,
    ) -> None:
        super().__init__(reduction=look_up_option(reduction, LossReduction).value)
        self.inter_weight = inter_weight
        self.intra_weight = intra_weight

    def forward(self, features: MSFormerFeatures, target: Tensor | None = None) -> Tensor:
        """A scalar, or `[B]` with reduction "none"; MONAI's trainer passes a `target`, which is ignored."""
        loss = self.total(self.parts(features))
        if self.reduction == LossReduction.MEAN.value:
            return loss.mean()
        return loss.sum() if self.reduction == LossReduction.SUM.value else loss

    def total(self, parts: MSFormerLossParts) -> Tensor:
        """Weighted sum per image `[B]`."""
        return parts.cross_entropy + self.inter_weight * parts.inter + self.intra_weight * parts.intra

    @staticmethod
    def parts(features: MSFormerFeatures) -> MSFormerLossParts:
        """The three losses per image, without weights."""
        scores, attention, (fine, coarse) = features
        # rows of pixels: no copy, because the network delivers its scores channels-last
        pixels = scores.permute(0, 2, 3, 1).flatten(0, 2)
        entropy = F.cross_entropy(pixels, pixels.detach().argmax(1), reduction="none")
        identity = torch.eye(attention.shape[-1], dtype=attention.dtype, device=attention.device)
        return MSFormerLossParts(
            cross_entropy=entropy.view(scores.shape[0], -1).mean(1),
            inter=(1 - F.cosine_similarity(fine, coarse, dim=-1)).mean(1),
            intra=(attention - identity).abs().mean((1, 2)),
        )
