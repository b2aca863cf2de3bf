"""Even out the dark frame of a dermatoscope."""

from collections.abc import Hashable, Mapping

import numpy as np
import torch
from monai.config import KeysCollection
from monai.config.type_definitions import NdarrayOrTensor
from monai.transforms import MapTransform, Transform
from monai.utils import convert_to_dst_type

__all__ = ["FlattenVignette", "FlattenVignetted", "flatten_vignette"]

_RINGS = 32
_CORNER = float(np.sqrt(2))  # distance of a corner from the center in half sides


def flatten_vignette(
    image: np.ndarray, inner: float = 0.6, percentile: float = 75.0, dark: float = 0.35, max_gain: float = 4.0
) -> np.ndarray:
    """Brighten a picture toward its corners as much as it falls off there, and fill what lies in the dark.

    The fall-off is measured on elliptic rings around the center: a high percentile of each ring, which is skin as
    long as the lesion does not cover most of the ring. Inside of ``inner`` nothing changes.

    Args:
        image: ``[C, H, W]``, 0 to 1.
        inner: where the correction begins, in half sides: 1 is the middle of a side, 1.41 a corner.
        percentile: of a ring's brightness that stands for skin.
        dark: rings below this share of the brightness at ``inner`` are outside of the view; they get the color of
            the skin at ``inner``.
        max_gain: greatest factor.

    Returns:
        the picture, clipped to 0 to 1. A picture without fall-off comes back unchanged.
    """
    height, width = image.shape[1:]
    rows = (np.arange(height) + 0.5) / height * 2 - 1
    columns = (np.arange(width) + 0.5) / width * 2 - 1
    distance = np.hypot(rows[:, None], columns[None, :])
    ring = np.minimum((distance / _CORNER * _RINGS).astype(int), _RINGS - 1)
    first = int(inner / _CORNER * _RINGS)
    brightness = image.mean(0)
    around_first = np.abs(ring - first) <= 1
    if not around_first.any():  # a picture of a few pixels
        return image
    reference = float(np.percentile(brightness[around_first], percentile))
    profile = np.full(_RINGS, reference)
    for index in range(first + 1, _RINGS):
        pixels = brightness[ring == index]
        level = float(np.percentile(pixels, percentile)) if pixels.size else reference
        profile[index] = min(level, profile[index - 1])
    level = np.interp(distance, (np.arange(_RINGS) + 0.5) / _RINGS * _CORNER, profile)
    out = image * np.minimum(reference / np.maximum(level, 1e-3), max_gain).clip(min=1.0)
    skin = np.percentile(image[:, around_first], percentile, axis=1)
    return np.clip(np.where(level < dark * reference, skin[:, None, None], out), 0, 1)


class FlattenVignette(Transform):
    """Transform form of :func:`flatten_vignette`, for images ``[C, H, W]`` of 0 to 1; same arguments."""

    def __init__(self, inner: float = 0.6, percentile: float = 75.0, dark: float = 0.35, max_gain: float = 4.0) -> None:
        if not 0 < inner < _CORNER:
            raise ValueError(f"inner must lie between 0 and {_CORNER:.2f} half sides, got {inner}.")
        if not 0 <= percentile <= 100 or not 0 <= dark <= 1 or max_gain < 1:
            raise ValueError("percentile must lie in 0 to 100, dark in 0 to 1, and max_gain be at least 1.")
        self.options = {"inner": inner, "percentile": percentile, "dark": dark, "max_gain": max_gain}

    def __call__(self, img: NdarrayOrTensor) -> NdarrayOrTensor:
        values = img.detach().cpu().numpy() if isinstance(img, torch.Tensor) else np.asarray(img)
        if not np.isfinite(values).all():
            return img  # who clusters it will say so
        return convert_to_dst_type(flatten_vignette(values.astype(np.float64), **self.options), img)[0]


class FlattenVignetted(MapTransform):
    """Dictionary form of :class:`FlattenVignette`."""

    def __init__(
        self,
        keys: KeysCollection,
        inner: float = 0.6,
        percentile: float = 75.0,
        dark: float = 0.35,
        max_gain: float = 4.0,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.transform = FlattenVignette(inner, percentile, dark, max_gain)

    def __call__(self, data: Mapping[Hashable, NdarrayOrTensor]) -> dict[Hashable, NdarrayOrTensor]:
        out = dict(data)
        for key in self.key_iterator(out):
            out[key] = self.transform(out[key])
        return out
