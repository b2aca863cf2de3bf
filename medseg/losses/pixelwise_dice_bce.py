import torch
import torch.nn.functional as F
from torch.nn.modules.loss import _Loss

from medseg.losses._checks import check_maps


class PixelwiseDiceBCELoss(_Loss):
    """Binary cross-entropy plus a Dice ratio taken pixel by pixel, on logits.

    This is the loss of SSFormer's published training script. In spite of its name there, it holds no Dice
    over an image: with m the mask and p the probability it is the mean over all pixels of::

        bce(p, m) + 1 - (2 * p * m + 1) / (p + m + 1)

    The soft Dice plus cross-entropy that the paper describes is :py:class:`monai.losses.DiceCELoss` with
    `sigmoid=True`; use that unless the published script is to be followed.

    The published script applies a sigmoid to the network's output and hands the result to this loss, which
    applies another one: its probabilities stay between 0.5 and 0.73 and the loss cannot reach 0. Here the
    logits come in as the network gives them and are squashed once.

    The range is 0 to infinity. An empty mask is an ordinary case: the loss goes to 0 as the prediction
    goes to empty.
    """

    def forward(self, input: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """
        Args:
            input: logits `[B, C, H, W]`.
            target: mask `[B, C, H, W]` in [0, 1], soft values allowed.

        Returns:
            The loss, a scalar.

        Raises:
            ValueError: when the shapes differ or are not four-dimensional.
        """
        logits, mask = check_maps(input, target)
        prob = logits.sigmoid()
        ratio = (2 * prob * mask + 1) / (prob + mask + 1)
        return F.binary_cross_entropy_with_logits(logits, mask) + (1 - ratio).mean()
