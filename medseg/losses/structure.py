"""The structure loss of PraNet."""

import torch
import torch.nn.functional as F
from torch.nn.modules.loss import _Loss

from medseg.losses._checks import check_maps


class StructureLoss(_Loss):
    """Boundary-weighted binary cross-entropy plus boundary-weighted soft IoU, on logits.

    Source: Fan et al., "PraNet: Parallel Reverse Attention Network for Polyp Segmentation", MICCAI 2020, loss function;
    after Wei et al., "F3Net", AAAI 2020. A pixel has the weight `1 + gain * |mean of the mask around it - mask|`, which
    is up to `1 + gain` near an outline. The mean is taken over a square window, with zeros outside of the image. With
    mask m, probability p, weight w and sums over the pixels of one image

        bce = sum(w * bce(p, m)) / sum(w)
        iou = 1 - (sum(w * p * m) + 1) / (sum(w * (p + m - p * m)) + 1)

    and the loss is the mean of `bce + iou` over images and channels. Range: 0 to infinity. With an empty mask every
    weight is 1, and the loss goes to 0 as the prediction becomes empty. For deep supervision wrap it in
    `monai.losses.DeepSupervisionLoss`.

    Args:
        window: side of the square window, in pixels; odd.
        gain: additional weight of an outline pixel.
        weighted_bce: `False` takes the plain mean of the cross-entropy, as SSFormer's published copy of this loss does;
            for comparison only.

    Raises:
        ValueError: if the window is not a positive odd number of pixels.
    """

    def __init__(self, window: int = 31, gain: float = 5.0, weighted_bce: bool = True) -> None:
        super().__init__()
        if window < 1 or window % 2 == 0:
            raise ValueError(f"StructureLoss needs a positive odd window, got {window}.")
        self.window = window
        self.gain = gain
        self.weighted_bce = weighted_bce

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
        half = self.window // 2
        # rows, then columns: a window's mean is that of its rows' means, at a fraction of the sums
        mean = F.avg_pool2d(mask, (1, self.window), stride=1, padding=(0, half))
        mean = F.avg_pool2d(mean, (self.window, 1), stride=1, padding=(half, 0))
        weight = 1 + self.gain * (mean - mask).abs()

        bce = F.binary_cross_entropy_with_logits(logits, mask, reduction="none")
        if self.weighted_bce:
            bce = (weight * bce).sum(dim=(2, 3)) / weight.sum(dim=(2, 3))

        prob = logits.sigmoid()
        overlap = (weight * prob * mask).sum(dim=(2, 3))
        union = (weight * (prob + mask)).sum(dim=(2, 3)) - overlap
        iou = 1 - (overlap + 1) / (union + 1)
        return bce.mean() + iou.mean()
