import colorsys
from collections.abc import Hashable, Mapping

import torch

from medseg.transforms.per_key import PerKeyTransform


class ClusterColord(PerKeyTransform):
    """Colors for the labels of a cluster map: `[1, ...]` of whole numbers from 0 to `[3, ...]` of 0 to 255.

    Neighboring numbers get distant colors; the same number has the same color in every picture.
    """

    def _change(self, data: Mapping[Hashable, torch.Tensor], key: Hashable) -> torch.Tensor:
        labels = data[key][0].round().long()
        # steps of the golden angle never meet again
        colors = [
            colorsys.hsv_to_rgb(0.618034 * n % 1, 0.45 + 0.5 * (n % 2), 1.0 - 0.15 * (n % 4))
            for n in range(int(labels.max()) + 1)
        ]
        palette = 255 * torch.tensor(colors, dtype=torch.float32, device=labels.device)
        return palette[labels].movedim(-1, 0)
