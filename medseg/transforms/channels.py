"""Mixing and showing of channels."""

import colorsys
from collections.abc import Hashable, Mapping, Sequence

import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform

__all__ = ["ChannelMixd", "ChannelOrderd", "ClusterColord"]


class ChannelMixd(MapTransform):
    """Weighted mean of an image's channels, ``[C, ...]`` to ``[1, ...]``.

    Args:
        keys: keys of the images.
        weights: one per channel, not negative; they are divided by their sum.
        allow_missing_keys: do nothing for missing keys.

    Raises:
        ValueError: when the weights are negative or all zero, or (on a call) not as many as the channels.
    """

    def __init__(self, keys: KeysCollection, weights: Sequence[float], allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)
        if min(weights) < 0 or sum(weights) == 0:
            raise ValueError(f"Channel weights must not be negative and not all zero, got {list(weights)}.")
        self.weights = [weight / sum(weights) for weight in weights]

    def __call__(self, data: Mapping[Hashable, torch.Tensor]) -> dict[Hashable, torch.Tensor]:
        out = dict(data)
        for key in self.key_iterator(out):
            if len(out[key]) != len(self.weights):
                raise ValueError(f"{key!r} has {len(out[key])} channels, but there are {len(self.weights)} weights.")
            # one channel by one, so that a channel of weight 0 may hold anything
            parts = [channel * weight for channel, weight in zip(out[key], self.weights, strict=True) if weight]
            out[key] = sum(parts[1:], start=parts[0]).unsqueeze(0)
        return out


class ChannelOrderd(MapTransform):
    """Put an image's channels ``[C, ...]`` into another order, for example RGB into BGR.

    Args:
        keys: keys of the images.
        order: the place each channel comes from: ``[2, 1, 0]`` turns three of them around.
        allow_missing_keys: do nothing for missing keys.

    Raises:
        ValueError: when ``order`` does not name every place once, or (on a call) has another length than the channels.
    """

    def __init__(self, keys: KeysCollection, order: Sequence[int], allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)
        if sorted(order) != list(range(len(order))):
            raise ValueError(f"The order of channels must name each place from 0 once, got {list(order)}.")
        self.order = list(order)

    def __call__(self, data: Mapping[Hashable, torch.Tensor]) -> dict[Hashable, torch.Tensor]:
        out = dict(data)
        for key in self.key_iterator(out):
            if len(out[key]) != len(self.order):
                raise ValueError(f"{key!r} has {len(out[key])} channels, but the order names {len(self.order)}.")
            out[key] = out[key][self.order]
        return out


class ClusterColord(MapTransform):
    """Colors for the labels of a cluster map: ``[1, ...]`` of whole numbers from 0 to ``[3, ...]``, 0 to 255.

    Neighboring numbers get colors far apart; the same number has the same color in every picture.
    """

    def __call__(self, data: Mapping[Hashable, torch.Tensor]) -> dict[Hashable, torch.Tensor]:
        out = dict(data)
        for key in self.key_iterator(out):
            labels = out[key][0].round().long()
            # steps of the golden angle never meet again
            colors = [
                colorsys.hsv_to_rgb(0.618034 * n % 1, 0.45 + 0.5 * (n % 2), 1.0 - 0.15 * (n % 4))
                for n in range(int(labels.max()) + 1)
            ]
            palette = 255 * torch.tensor(colors, dtype=torch.float32, device=labels.device)
            out[key] = palette[labels].movedim(-1, 0)
        return out
