import math

import torch
from monai.config import KeysCollection

from medseg.transforms.per_key import RandPerKeyTransform

_LUMA = (0.299, 0.587, 0.114)  # ITU-R 601


class RandColorJitterd(RandPerKeyTransform):
    """Another light, another camera: random brightness, contrast, saturation, gamma and gain of each channel.

    Of a picture x with luminance g and mean m, in this order: `g + s * (x - g)` (saturation), `m + c * (x - m)`
    (contrast), `b * k_i * x` for channel i (brightness and gains), clipped to 0..1, `x ** a` (gamma). The factors s, c
    and b are uniform in `1 - range..1 + range`; the exponents of the gains `k_i = exp(u)` and of gamma `a = exp(u)` are
    uniform in `-range..range`.

    Args:
        keys: floating point RGB pictures `[3, H, W]` in 0..1, before normalization. All get the same changes.
        prob: chance that anything is changed.
        brightness: greatest change of the common factor, 0 to 1.
        contrast: greatest change of the distance to the mean color, 0 to 1.
        saturation: greatest change of the distance to gray, 0 to 1.
        gain: greatest absolute logarithm of a channel's own factor.
        gamma: greatest absolute logarithm of the exponent.

    Raises:
        ValueError: at construction, if a range is negative or one of the first three is above 1.
    """

    def __init__(
        self,
        keys: KeysCollection,
        prob: float = 0.8,
        brightness: float = 0.3,
        contrast: float = 0.3,
        saturation: float = 0.4,
        gain: float = 0.15,
        gamma: float = 0.2,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, prob, allow_missing_keys)
        ranges = (brightness, contrast, saturation)
        if not all(0 <= value <= 1 for value in ranges) or gain < 0 or gamma < 0:
            raise ValueError(
                "brightness, contrast and saturation must lie between 0 and 1, gain and gamma must not be negative, "
                f"got {(*ranges, gain, gamma)}."
            )
        self.brightness, self.contrast, self.saturation, self.gain, self.gamma = *ranges, gain, gamma

    def randomize(self, data: object = None) -> None:
        """Draw whether anything is changed, and the factors."""
        super().randomize(None)
        uniform = self.R.uniform
        self._brightness = 1 + uniform(-self.brightness, self.brightness)
        self._contrast = 1 + uniform(-self.contrast, self.contrast)
        self._saturation = 1 + uniform(-self.saturation, self.saturation)
        self._log_gains = uniform(-self.gain, self.gain, size=3)
        self._log_gamma = uniform(-self.gamma, self.gamma)

    def _change(self, values: torch.Tensor) -> torch.Tensor:
        gray = (values * values.new_tensor(_LUMA)[:, None, None]).sum(dim=0, keepdim=True)
        image = torch.lerp(gray, values, self._saturation)
        mean = image.mean(dim=(1, 2), keepdim=True)
        gains = self._brightness * image.new_tensor(self._log_gains).exp()[:, None, None]
        image = (gains * torch.lerp(mean, image, self._contrast)).clamp(0, 1)
        return image.pow(math.exp(self._log_gamma))
