import numpy as np
from scipy import ndimage

from medseg.phantoms.drawing import check_size, cloud_noise, to_bytes


def lung_phantom(index: int, size: tuple[int, int] | None, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw one axial slice of a chest and the mask of its lungs.

    A body with fat, muscle and spine in air, a heart, a trachea, and two lungs with vessels and noise. Gray values are
    those of a window from -1000 to 1000 HU. Arguments and results: see `PHANTOMS`. Without a size it is 192 x 192. The
    three channels are equal, the mask is never empty, and vessels inside of the lungs belong to them.
    """
    rng = np.random.default_rng((seed, index, 2))
    shape = check_size(size or (192, 192))
    height = shape[0]
    y, x = (fields / side * 2 - 1 for fields, side in zip(np.mgrid[:height, : shape[1]], shape, strict=True))

    def ellipse(center_y: float, center_x: float, half_y: float, half_x: float) -> np.ndarray:
        return np.hypot((y - center_y) / half_y, (x - center_x) / half_x) < 1

    body = ellipse(0.0, 0.0, rng.uniform(0.68, 0.8), rng.uniform(0.82, 0.93))
    muscle = ndimage.binary_erosion(body, iterations=max(1, round(height * rng.uniform(0.03, 0.07))))
    left, right = (
        ellipse(rng.uniform(-0.05, 0.05), side * rng.uniform(0.38, 0.44), rng.uniform(0.4, 0.52), 0.29)
        for side in (-1, 1)
    )
    heart = ellipse(0.12, rng.uniform(0.08, 0.16), rng.uniform(0.2, 0.3), 0.26)
    spine = ellipse(0.55, 0.0, 0.13, 0.12)
    lungs = (left | right) & muscle & ~heart & ~ndimage.binary_dilation(spine, iterations=2)
    trachea = ellipse(-0.2, 0.0, 0.05, 0.06) & ~lungs
    vessels = lungs & (cloud_noise(rng, shape, height / 40, 2) > rng.uniform(1.9, 2.2))

    units = np.full(shape, -1000.0)
    for part, value in ((body, -90), (muscle, 50), (heart, 60), (spine, 400), (lungs, -820), (trachea, -990)):
        units[part] = value
    units[vessels] = 30
    units += 25 * cloud_noise(rng, shape, height / 12, 2) * body
    units = ndimage.gaussian_filter(units, 0.7) + rng.normal(0, 20, shape)
    gray = to_bytes((units + 1000) / 2000)
    return np.repeat(gray[..., None], 3, axis=-1), np.where(lungs, 255, 0).astype(np.uint8)
