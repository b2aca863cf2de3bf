"""Random contrast, sharpness and brightness, as in SSFormer's published augmentation.

MONAI's contrast is a gamma curve and its sharpening an unsharp mask; torchvision has these three operations, but is no
dependency of this project.
"""

from collections.abc import Callable, Hashable, Mapping

import torch
import torch.nn.functional as F
from monai.config import KeysCollection, NdarrayOrTensor
from monai.transforms import MapTransform, RandomizableTransform
from monai.utils import convert_to_dst_type, convert_to_tensor

_LUMA = (0.299, 0.587, 0.114)  # ITU-R 601, as in Pillow's conversion to gray


# Each is Pillow's ImageEnhance class of that name without its rounding, for images [C, H, W] in 0..1, clipped to 0..1.
# A factor of 1 leaves the image as it is.


def adjust_contrast(image: torch.Tensor, factor: float) -> torch.Tensor:
    """Scale all differences from the mean gray (luminance of RGB, else the mean of the channels)."""
    channel_means = image.mean(dim=(1, 2))
    gray = channel_means @ channel_means.new_tensor(_LUMA) if len(image) == 3 else channel_means.mean()
    return _extrapolate(gray, image, factor)


def adjust_sharpness(image: torch.Tensor, factor: float) -> torch.Tensor:
    """Scale all differences from the smoothed image. The outermost pixels stay as they are."""
    if min(image.shape[1:]) < 3:
        return image.clamp(0, 1)
    smooth = image.clone()
    # the center weighs 5, its eight neighbors 1: nine times the 3x3 mean, and the center four times more
    smooth[:, 1:-1, 1:-1] = (9 * F.avg_pool2d(image, 3, stride=1) + 4 * image[:, 1:-1, 1:-1]) / 13
    return _extrapolate(smooth, image, factor)


def adjust_brightness(image: torch.Tensor, factor: float) -> torch.Tensor:
    """Scale all values."""
    return (image * factor).clamp(0, 1)


def _extrapolate(start: torch.Tensor, image: torch.Tensor, factor: float) -> torch.Tensor:
    return (start + factor * (image - start)).clamp(0, 1)


_ADJUSTMENTS: tuple[Callable[[torch.Tensor, float], torch.Tensor], ...] = (
    adjust_contrast,
    adjust_sharpness,
    adjust_brightness,
)


class RandImageEnhanced(RandomizableTransform, MapTransform):
    """Random contrast, sharpness and brightness, in random order, each with its own chance and factor.

    All keys get the same changes. It runs on the device of the data, keeps the metadata of a `MetaTensor` and changes
    no geometry. Use it before normalization.

    Args:
        keys: floating point images `[C, H, W]` in 0..1.
        prob: chance of each of the three.
        factor_range: the factor of each is uniform in this range; 1 changes nothing.
        allow_missing_keys: do nothing for missing keys.

    Raises:
        ValueError: `factor_range` is negative or not ascending.
    """

    def __init__(
        self,
        keys: KeysCollection,
        prob: float = 0.5,
        factor_range: tuple[float, float] = (1.0, 1.1),
        allow_missing_keys: bool = False,
    ) -> None:
        MapTransform.__init__(self, keys, allow_missing_keys)
        RandomizableTransform.__init__(self, prob)
        low, high = factor_range
        if not 0 <= low <= high:
            raise ValueError(f"factor_range must be ascending and not negative, got {factor_range}.")
        self.factor_range = (low, high)
        self._steps: list[tuple[int, float]] = []

    def randomize(self, data: object = None) -> None:
        """Draw the order, which of the three are applied, and their factors."""
        order = self.R.permutation(len(_ADJUSTMENTS))
        applied = self.R.random_sample(len(_ADJUSTMENTS)) < self.prob
        factors = self.R.uniform(*self.factor_range, size=len(_ADJUSTMENTS))
        self._steps = [(int(i), float(factors[i])) for i in order if applied[i]]

    def __call__(self, data: Mapping[Hashable, NdarrayOrTensor]) -> dict[Hashable, NdarrayOrTensor]:
        """Return a copy of `data` with the images changed."""
        out = dict(data)
        self.randomize()
        for key in self.key_iterator(out) if self._steps else ():
            changed = convert_to_tensor(out[key], track_meta=False)
            for index, factor in self._steps:
                changed = _ADJUSTMENTS[index](changed, factor)
            out[key] = convert_to_dst_type(changed, out[key])[0]
        return out
