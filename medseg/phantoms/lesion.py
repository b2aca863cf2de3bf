import numpy as np
from scipy import ndimage

from medseg.phantoms.drawing import center_fields, check_size, cloud_noise, irregular_ellipse, soft_step, to_bytes


def lesion_phantom(index: int, size: tuple[int, int] | None, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw one picture of a lesion on skin, as through a dermatoscope, and the lesion's mask.

    Skin of varying color with uneven light and a dark frame; one brown lesion of random outline with a soft border, a
    darker core and a mottled texture; some hairs. Arguments and results: see `PHANTOMS`. Without a size it is
    landscape, 180 to 240 rows. The mask is never empty.
    """
    rng = np.random.default_rng((seed, index, 1))
    rows = int(rng.integers(180, 241))
    height, width = check_size(size or (rows, rows * 4 // 3))
    short = min(height, width)
    y, x = center_fields(height, width)

    radius, stretch, turn = rng.uniform(0.14, 0.3), rng.uniform(1.0, 1.5), rng.uniform(0, np.pi)
    place = y - rng.uniform(-0.1, 0.1), x - rng.uniform(-0.12, 0.12)
    away, _, outline = irregular_ellipse(rng, place, turn, stretch, range(2, 9), 0.09)
    distance = away / (radius * outline)
    alpha = soft_step(distance, rng.uniform(0.02, 0.06))
    skin = np.array([0.86, 0.66, 0.56]) + rng.normal(0, 0.03, 3)
    skin = skin * (1 + 0.03 * cloud_noise(rng, (height, width), short / 8, 3)[..., None])
    pigment = np.array([0.45, 0.27, 0.18]) * rng.uniform(0.8, 1.3)
    core = 1 - rng.uniform(0.1, 0.45) * np.exp(-np.square(distance / rng.uniform(0.4, 0.8)))
    mottled = core * (1 + 0.12 * cloud_noise(rng, (height, width), short / 20, 3))
    picture = skin + alpha[..., None] * (pigment * mottled[..., None] - skin)

    light = 1 - rng.uniform(0.0, 0.12) * (x * rng.normal() + y * rng.normal())
    frame = np.hypot(y / (height / short), x / (width / short)) * 2
    light = light * (1 - 0.35 * np.clip(frame - 0.7, 0, None)) / (1 + np.exp(((frame - 1.18) * 40).clip(-50, 50)))
    picture = picture * light[..., None]
    picture *= 1 - 0.7 * _hairs(rng, y, x)[..., None]
    picture = ndimage.gaussian_filter(picture, (0.7, 0.7, 0)) + rng.normal(0, 0.012, (height, width, 1))
    return to_bytes(picture), np.where(distance < 1, 255, 0).astype(np.uint8)


def _hairs(rng: np.random.Generator, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """How dark hairs make each pixel, 0 to 1: a few thin arcs."""
    shade = np.zeros(y.shape)
    for _ in range(rng.integers(0, 6)):
        radius, turn = rng.uniform(0.6, 2.0), rng.uniform(0, 2 * np.pi)
        offset = rng.uniform(-0.4, 0.4) + radius
        away = np.abs(np.hypot(y - offset * np.sin(turn), x - offset * np.cos(turn)) - radius)
        shade = np.maximum(shade, np.exp(-np.square(away / 0.004)))
    return shade
