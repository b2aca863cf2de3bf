"""CT-like axial slices of a chest, drawn from random numbers."""

import numpy as np
from scipy import ndimage

from medseg.phantoms.noise import cloud_noise

__all__ = ["lung_phantom"]


def lung_phantom(index: int, size: tuple[int, int] | None, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw one axial slice of a chest and the mask of its lungs.

    A body with fat, muscle, spine and ribs in air, a heart, a trachea, and two lungs with vessels and noise.
    Gray values are those of a window from -1000 to 1000 HU.

    Args:
        index: number of the picture in its set; every index gives another picture.
        size: (H, W) in pixels, each at least 64; ``None`` is 192 x 192.
        seed: number of the set.

    Returns:
        the picture, uint8 ``(H, W, 3)`` with three equal channels, and the mask, uint8 ``(H, W)`` of 0 and 255,
        never empty; vessels inside of the lungs belong to them.

    Raises:
        ValueError: a side of ``size`` is below 64.
    """
    rng = np.random.default_rng((seed, index, 2))
    height, width = (192, 192) if size is None else size
    if min(height, width) < 64:
        raise ValueError(f"A phantom must measure at least 64 x 64 pixels, got {height} x {width}.")
    rows, columns = np.mgrid[:height, :width]
    y, x = rows / height * 2 - 1, columns / width * 2 - 1

    body = _ellipse(y, x, 0.0, 0.0, rng.uniform(0.68, 0.8), rng.uniform(0.82, 0.93))
    muscle = ndimage.binary_erosion(body, iterations=max(1, round(height * rng.uniform(0.03, 0.07))))
    left, right = (
        _ellipse(y, x, rng.uniform(-0.05, 0.05), side * rng.uniform(0.38, 0.44), rng.uniform(0.4, 0.52), 0.29)
        for side in (-1, 1)
    )
    heart = _ellipse(y, x, 0.12, rng.uniform(0.08, 0.16), rng.uniform(0.2, 0.3), 0.26)
    spine = _ellipse(y, x, 0.55, 0.0, 0.13, 0.12)
    lungs = (left | right) & muscle & ~heart & ~ndimage.binary_dilation(spine, iterations=2)
    trachea = _ellipse(y, x, -0.2, 0.0, 0.05, 0.06) & ~lungs
    vessels = lungs & (cloud_noise(rng, (height, width), height / 40, 2) > rng.uniform(1.9, 2.2))

    units = np.full((height, width), -1000.0)
    for part, value in ((body, -90), (muscle, 50), (heart, 60), (spine, 400), (lungs, -820), (trachea, -990)):
        units[part] = value
    units[vessels] = 30
    units += 25 * cloud_noise(rng, (height, width), height / 12, 2) * body
    units = ndimage.gaussian_filter(units, 0.7) + rng.normal(0, 20, (height, width))
    gray = np.rint(((units + 1000) / 2000).clip(0, 1) * 255).astype(np.uint8)
    return np.repeat(gray[..., None], 3, axis=-1), np.where(lungs, 255, 0).astype(np.uint8)


def _ellipse(
    y: np.ndarray, x: np.ndarray, center_y: float, center_x: float, half_y: float, half_x: float
) -> np.ndarray:
    return np.hypot((y - center_y) / half_y, (x - center_x) / half_x) < 1
