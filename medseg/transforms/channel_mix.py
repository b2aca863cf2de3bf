from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import torch
from monai.config import KeysCollection

from medseg.transforms.per_key import PerKeyTransform


class ChannelMixd(PerKeyTransform):
    """Weighted means of an image's channels, `[C, ...]` to `[1, ...]` or, with several rows of weights, `[rows, ...]`.

    Args:
        keys: keys of the images.
        weights: one per channel, or a row of them per new channel: `[[0, 0, 1], [0, 1, 0], [1, 0, 0]]` turns RGB into
            BGR. Weights are not negative and divided by the sum of their row. A channel of weight 0 may hold anything.

    Raises:
        ValueError: A row has negative weights or only zeros, or (on a call) not as many as there are channels.
    """

    def __init__(
        self,
        keys: KeysCollection,
        weights: Sequence[float] | Sequence[Sequence[float]],
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        rows: Any = weights if isinstance(weights[0], Sequence) else [weights]
        if any(min(row) < 0 or sum(row) == 0 for row in rows):
            raise ValueError(f"Channel weights must not be negative and not all zero, got {list(weights)}.")
        self.rows = [[weight / sum(row) for weight in row] for row in rows]

    def _change(self, data: Mapping[Hashable, torch.Tensor], key: Hashable) -> torch.Tensor:
        image = data[key]
        if any(len(image) != len(row) for row in self.rows):
            raise ValueError(f"{key!r} has {len(image)} channels, but there are weights for {len(self.rows[0])}.")
        return torch.stack([_mean(image, row) for row in self.rows])


def _mean(image: torch.Tensor, weights: Sequence[float]) -> torch.Tensor:
    # only channels that count, as 0 * NaN is NaN
    parts = [channel * weight for channel, weight in zip(image, weights, strict=True) if weight]
    return sum(parts[1:], start=parts[0])
