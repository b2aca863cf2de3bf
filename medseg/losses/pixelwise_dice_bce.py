"""The loss of SSFormer's published training script."""

import torch
import torch.nn.functional as F
from torch.nn.modules.loss import _Loss

from medseg.losses._checks import check_maps


class PixelwiseDiceBCELoss(_Loss):
    """Binary cross-entropy plus a Dice ratio taken pixel by pixel, on logits.

    This is the loss of SSFormer's published training script. It contains no Dice over an image: with mask m and
    probability p it is the mean over all pixels of

        bce(p, m) + 1 - (2 * p * m + 1) / (p + m + 1)

    The soft Dice plus cross-entropy of the paper is `monai.losses.DiceCELoss` with `sigmoid=True`; prefer it, except to
    repeat the published training.

    The published script applies the sigmoid twice, so that its probabilities lie between 0.5 and 0.73 and its loss
    cannot reach 0. Here it is applied once.

    Range: 0 to infinity. With an empty mask the loss goes to 0 as the prediction becomes empty.
    """

    def forward(self, input: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Compute the loss.

        Args:
            input: logits `[B, C, H, W]`.
            target: mask `[B, C, H, W]` in [0, 1], soft values allowed.

        Returns:
            The loss, a scalar.

        Raises:
            ValueError: if the shapes differ or are not four-dimensional.
        """
        logits, mask = check_maps(input, target)
        prob = logits.sigmoid()
        ratio = (2 * prob * mask + 1) / (prob + mask + 1)
        return F.binary_cross_entropy_with_logits(logits, mask) + (1 - ratio).mean()
