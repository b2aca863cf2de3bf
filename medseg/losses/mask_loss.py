"""The loss of a mask by the channels of the network, in which some pixels do not count."""

from collections.abc import Callable

import torch
from torch.nn.modules.loss import _Loss

#: Class number of pixels that count neither in the loss nor in the metrics.
IGNORED = 255
_CERTAIN = 40.0  # a logit whose probability is 0 or 1 in float32


class MaskLoss(_Loss):
    """One of two losses: for logits of one channel, or of several. Pixels with the target `IGNORED` do not count.

    An ignored pixel is taken for background that the network is certain of: it has no gradient and no cross-entropy,
    and no part in the overlap of the other classes. It still counts in the number of pixels of a mean.

    Args:
        one_channel: loss of logits `[B, 1, H, W]` and mask of 0 and 1, of the same shape.
        several: loss of logits `[B, C, H, W]` and class numbers `[B, 1, H, W]`, without overlap of the background.
    """

    def __init__(self, one_channel: Callable[..., torch.Tensor], several: Callable[..., torch.Tensor]) -> None:
        super().__init__()
        self.one_channel = one_channel
        self.several = several

    def forward(self, input: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Compute the loss.

        Args:
            input: logits `[B, C, H, W]`; of several channels, the first is the background.
            target: class numbers `[B, 1, H, W]`, or `IGNORED`.

        Returns:
            The loss, a scalar.
        """
        loss = self.one_channel if input.shape[1] == 1 else self.several
        ignored = target == IGNORED
        if ignored.any():
            background = torch.full_like(input, -_CERTAIN)
            if input.shape[1] > 1:
                background[:, 0] = _CERTAIN
            input, target = torch.where(ignored, background, input), target.masked_fill(ignored, 0)
        return loss(input, target)
