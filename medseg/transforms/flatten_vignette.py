"""Evening out the dark frame of a dermatoscope."""

from collections.abc import Hashable, Mapping

import numpy as np
import torch
from monai.config import KeysCollection, NdarrayOrTensor
from monai.transforms import MapTransform
from monai.utils import convert_to_dst_type

from medseg.transforms.mask_strategies import center_distance

_RINGS = 32
_CORNER = float(np.sqrt(2))  # distance of a corner from the center in half sides


def flatten_vignette(
    image: np.ndarray, inner: float = 0.6, percentile: float = 75.0, dark: float = 0.35, max_gain: float = 4.0
) -> np.ndarray:
    """Brighten an image toward its corners by as much as it falls off there, and fill what lies in the dark.

    The fall-off is measured on elliptic rings around the center: a high percentile of each ring, which is skin as long
    as the lesion does not cover most of the ring. Inside of `inner` nothing changes.

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


class FlattenVignetted(MapTransform):
    """Apply `flatten_vignette` to images `[C, H, W]` of 0 to 1; those with NaN or infinite values stay as they are.

    Args:
        keys: keys of the images.
        inner: as for `flatten_vignette`, and the next three too.
        percentile: 0 to 100.
        dark: 0 to 1.
        max_gain: at least 1.
        allow_missing_keys: do nothing for missing keys.

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

    def __call__(self, data: Mapping[Hashable, NdarrayOrTensor]) -> dict[Hashable, NdarrayOrTensor]:
        """Return a copy of `data` with the images changed."""
        out = dict(data)
        for key in self.key_iterator(out):
            image = out[key]
            values = image.detach().cpu().numpy() if isinstance(image, torch.Tensor) else np.asarray(image)
            if np.isfinite(values).all():  # otherwise the inferer reports it
                flat = flatten_vignette(values.astype(np.float64), **self.options)
                out[key] = convert_to_dst_type(flat, image)[0]
        return out
