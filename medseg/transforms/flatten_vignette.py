from collections.abc import Hashable, Mapping

import numpy as np
from monai.config import KeysCollection, NdarrayOrTensor
from monai.utils import convert_to_dst_type, convert_to_numpy

from medseg.transforms.mask_strategies import center_distance
from medseg.transforms.per_key import PerKeyTransform

_RINGS = 32
_CORNER = float(np.sqrt(2))  # distance of a corner from the center in half sides


def flatten_vignette(
    image: np.ndarray, inner: float = 0.6, percentile: float = 75.0, dark: float = 0.35, max_gain: float = 4.0
) -> np.ndarray:
    """Even out the dark frame of a dermatoscope: brighten an image toward its corners by as much as it falls off.

    The fall-off is measured on elliptic rings around the center: a high percentile of each ring, which is skin as long
    as the lesion does not cover most of the ring. What lies in the dark is filled; inside of `inner` nothing changes.

    Args:
        image: `[C, H, W]`, 0 to 1.
        inner: where the correction begins, in half sides: 1 is the middle of a side, 1.41 a corner.
        percentile: of a ring's brightness that stands for skin.
        dark: rings below this share of the brightness at `inner` are outside of the view; they get the color of the
            skin at `inner`.
        max_gain: greatest factor.

    Returns:
        The image, clipped to 0 to 1. An image without fall-off comes back unchanged.
    """
    distance = center_distance(*image.shape[1:])
    ring = np.minimum((distance / _CORNER * _RINGS).astype(int), _RINGS - 1)
    first = int(inner / _CORNER * _RINGS)
    brightness = image.mean(0)
    around_first = np.abs(ring - first) <= 1
    if not around_first.any():  # an image of a few pixels
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


class FlattenVignetted(PerKeyTransform):
    """Apply `flatten_vignette`, with its arguments, to images; those with NaN or infinite values stay as they are.

    Raises:
        ValueError: An argument is out of its range.
    """

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
        if not 0 < inner < _CORNER:
            raise ValueError(f"inner must lie between 0 and {_CORNER:.2f} half sides, got {inner}.")
        if not 0 <= percentile <= 100 or not 0 <= dark <= 1 or max_gain < 1:
            raise ValueError("percentile must lie in 0 to 100, dark in 0 to 1, and max_gain be at least 1.")
        self.options = {"inner": inner, "percentile": percentile, "dark": dark, "max_gain": max_gain}

    def _change(self, data: Mapping[Hashable, NdarrayOrTensor], key: Hashable) -> NdarrayOrTensor:
        image = data[key]
        values = convert_to_numpy(image)
        if not np.isfinite(values).all():  # the inferer reports it
            return image
        return convert_to_dst_type(flatten_vignette(values.astype(np.float64), **self.options), image)[0]
