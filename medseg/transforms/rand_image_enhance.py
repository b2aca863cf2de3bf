import torch
import torch.nn.functional as F
from monai.config import KeysCollection

from medseg.transforms.per_key import RandPerKeyTransform

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


_ADJUSTMENTS = (adjust_contrast, adjust_sharpness, adjust_brightness)


class RandImageEnhanced(RandPerKeyTransform):
    """Random contrast, sharpness and brightness, in random order, each with its own chance and factor.

    As in SSFormer's published augmentation. MONAI's contrast is a gamma curve and its sharpening an unsharp mask;
    torchvision has these three operations, but is no dependency of this project.

    Args:
        keys: floating point images `[C, H, W]` in 0..1, before normalization. All get the same changes.
        prob: chance of each of the three.
        factor_range: the factor of each is uniform in this range; 1 changes nothing.

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
        super().__init__(keys, prob, allow_missing_keys)
        low, high = factor_range
        if not 0 <= low <= high:
            raise ValueError(f"factor_range must be ascending and not negative, got {factor_range}.")
        self.factor_range = (low, high)

    def randomize(self, data: object = None) -> None:
        """Draw the order, which of the three are applied, and their factors."""
        order = self.R.permutation(len(_ADJUSTMENTS))
        applied = self.R.random_sample(len(_ADJUSTMENTS)) < self.prob
        factors = self.R.uniform(*self.factor_range, size=len(_ADJUSTMENTS))
        self._steps = [(_ADJUSTMENTS[i], float(factors[i])) for i in order if applied[i]]
        self._do_transform = bool(self._steps)

    def _change(self, values: torch.Tensor) -> torch.Tensor:
        for adjust, factor in self._steps:
            values = adjust(values, factor)
        return values
