"""Contrast, sharpness and brightness as in SSFormer's published augmentation, on tensors of any device."""

from collections.abc import Callable, Hashable, Mapping

import torch
import torch.nn.functional as F
from monai.config import KeysCollection, NdarrayOrTensor
from monai.transforms import MapTransform, RandomizableTransform
from monai.utils import convert_to_dst_type, convert_to_tensor

__all__ = ["RandImageEnhanced", "adjust_brightness", "adjust_contrast", "adjust_sharpness"]

_LUMA = (0.299, 0.587, 0.114)  # ITU-R 601, what Pillow's gray conversion uses


def adjust_contrast(image: torch.Tensor, factor: float) -> torch.Tensor:
    """Move every value away from (factor > 1) or toward (factor < 1) the mean gray of the picture.

    Same as Pillow's ``ImageEnhance.Contrast``, without its rounding.

    Args:
        image: ``[C, H, W]`` in 0..1; with three channels the gray is the ITU-R 601 luminance of RGB,
            otherwise the mean of the channels.
        factor: 1 leaves the picture as it is, 0 makes it uniformly gray.

    Returns:
        ``[C, H, W]`` clipped to 0..1.
    """
    channel_means = image.mean(dim=(1, 2))
    gray = channel_means @ channel_means.new_tensor(_LUMA) if len(image) == 3 else channel_means.mean()
    return _extrapolate(gray, image, factor)


def adjust_sharpness(image: torch.Tensor, factor: float) -> torch.Tensor:
    """Move every value away from (factor > 1) or toward (factor < 1) the smoothed picture.

    Same as Pillow's ``ImageEnhance.Sharpness``, without its rounding: the smoothing weighs a pixel 5 times
    and its eight neighbors once. The outermost pixels stay as they are.

    Args:
        image: ``[C, H, W]`` in 0..1.
        factor: 1 leaves the picture as it is, 0 smooths it.

    Returns:
        ``[C, H, W]`` clipped to 0..1.
    """
    if min(image.shape[1:]) < 3:
        return image.clamp(0, 1)
    smooth = image.clone()
    # nine times the 3x3 mean, and the center four times more
    smooth[:, 1:-1, 1:-1] = (9 * F.avg_pool2d(image, 3, stride=1) + 4 * image[:, 1:-1, 1:-1]) / 13
    return _extrapolate(smooth, image, factor)


def adjust_brightness(image: torch.Tensor, factor: float) -> torch.Tensor:
    """Multiply every value, as Pillow's ``ImageEnhance.Brightness``.

    Args:
        image: ``[C, H, W]`` in 0..1.
        factor: 1 leaves the picture as it is, 0 makes it black.

    Returns:
        ``[C, H, W]`` clipped to 0..1.
    """
    return (image * factor).clamp(0, 1)


def _extrapolate(start: torch.Tensor, image: torch.Tensor, factor: float) -> torch.Tensor:
    return (start + factor * (image - start)).clamp(0, 1)


_ADJUSTMENTS: tuple[Callable[[torch.Tensor, float], torch.Tensor], ...] = (
    adjust_contrast,
    adjust_sharpness,
    adjust_brightness,
)


class RandImageEnhanced(RandomizableTransform, MapTransform):
    """Random contrast, sharpness and brightness of a picture, in random order.

    As in the augmentation published with SSFormer: the order of the three is drawn for every call, and each
    is applied with its own chance and factor. All keys get the same changes. It runs on the device of the
    data and keeps the metadata of a ``MetaTensor``. Geometry is unchanged, so there is nothing to invert.

    Use it before normalization, on values in 0..1.

    Args:
        keys: floating point pictures ``[C, H, W]`` in 0..1.
        prob: chance of each of the three.
        factor_range: the factor of each is uniform in this range; 1 changes nothing.
        allow_missing_keys: whether keys may be absent.

    Raises:
        ValueError: at construction, if ``factor_range`` is negative or not ascending.
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
        self._do_transform = bool(self._steps)

    def __call__(self, data: Mapping[Hashable, NdarrayOrTensor]) -> dict[Hashable, NdarrayOrTensor]:
        """Return a copy of ``data`` with the pictures changed."""
        result = dict(data)
        self.randomize()
        for key in self.key_iterator(result):
            image = result[key]
            if self._do_transform:
                changed = convert_to_tensor(image, track_meta=False)
                for index, factor in self._steps:
                    changed = _ADJUSTMENTS[index](changed, factor)
                result[key] = convert_to_dst_type(changed, image)[0]
        return result
