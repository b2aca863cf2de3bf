from typing import NamedTuple

import numpy as np
from scipy import ndimage

# values of the lobes in the label map, as TotalSegmentator numbers them
LEFT_UPPER, LEFT_LOWER, RIGHT_UPPER, RIGHT_MIDDLE, RIGHT_LOWER = 10, 11, 12, 13, 14

_SIZE = (64, 56, 24)
_SMALLEST = (32, 32, 8)


class VolumePhantom(NamedTuple):
    """A volume, its label map, and where both lie."""

    units: np.ndarray  # int16 (X, Y, Z), HU
    labels: np.ndarray  # uint8 (X, Y, Z)
    affine: np.ndarray  # (4, 4), voxels to mm in RAS


def lung_volume_phantom(index: int, size: tuple[int, ...] | None, seed: int) -> VolumePhantom:
    """Draw the CT of a chest and the label map of its lung lobes.

    A body with fat, muscle and spine in air, a heart on the left, a liver that lifts the right lung's base, and two
    lungs with vessels, which belong to them, and noise. The first two axes of the volume point either way, as in real
    files, so that only the affine tells left from right. `size` is (X, Y, Z) in voxels, at least 32 x 32 x 8, without
    it 64 x 56 x 24; they cover about 330 x 290 x 200 mm. Another `size` is a `ValueError`.
    """
    shape = _SIZE if size is None else tuple(size)
    if len(shape) != 3 or any(side < least for side, least in zip(shape, _SMALLEST, strict=True)):
        raise ValueError(f"A phantom must measure at least 32 x 32 x 8 voxels, got {' x '.join(map(str, shape))}.")
    rng = np.random.default_rng((seed, index, 3))
    # from -1 to 1: right, anterior and superior are positive
    x, y, z = np.meshgrid(*(np.linspace(-1, 1, side) for side in shape), indexing="ij")
    labels = _lobes(rng, x, y, z)
    units = _density(rng, x, y, labels > 0)
    spacing = np.array([330, 290, 200]) * rng.uniform(0.9, 1.1, 3) / shape
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = -spacing * shape / 2 + rng.uniform(-60, 60, 3)
    for axis in (0, 1):
        if rng.random() < 0.5:
            units, labels = np.flip(units, axis), np.flip(labels, axis)
            affine[axis, 3] += affine[axis, axis] * (shape[axis] - 1)
            affine[axis, axis] *= -1
    return VolumePhantom(np.ascontiguousarray(units), np.ascontiguousarray(labels), affine)


def _lobes(rng: np.random.Generator, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    half_y, half_z = rng.uniform(0.48, 0.58), rng.uniform(0.8, 0.95)
    heart = _ball(x + rng.uniform(0.12, 0.18), y - 0.15, z + 0.25, rng.uniform(0.26, 0.32), 0.28, 0.5)
    spine = np.hypot(x / 0.16, (y + 0.5) / 0.2) < 1
    labels = np.zeros(x.shape, np.uint8)
    fissure = z + rng.uniform(0.8, 1.1) * y  # oblique: the lower lobe is behind and below
    for side, base in ((-1, rng.uniform(-0.7, -0.55)), (1, rng.uniform(-0.5, -0.35))):
        center = side * rng.uniform(0.42, 0.46)
        lung = _ball(x - center, y, z + 0.05, rng.uniform(0.3, 0.34), half_y, half_z)
        dome = base + 0.15 - 0.6 * ((x - center) ** 2 + y**2)
        lung &= (z > dome) & ~heart & ~spine
        upper = LEFT_UPPER if side < 0 else RIGHT_UPPER
        labels[lung] = np.where(fissure > 0, upper, LEFT_LOWER if side < 0 else RIGHT_LOWER)[lung]
        if side > 0:
            labels[lung & (fissure > 0) & (z < rng.uniform(-0.1, 0.1))] = RIGHT_MIDDLE
    return labels


def _density(rng: np.random.Generator, x: np.ndarray, y: np.ndarray, lungs: np.ndarray) -> np.ndarray:
    half_x, half_y = rng.uniform(0.86, 0.95), rng.uniform(0.72, 0.82)
    body = np.hypot(x / half_x, y / half_y)
    units = np.full(x.shape, -1000.0)
    units[(body < 1) | lungs] = -90
    units[(body < rng.uniform(0.86, 0.94)) | lungs] = 50
    units[np.hypot(x / 0.12, (y + 0.5) / 0.14) < 1] = 350
    units[lungs] = rng.uniform(-860, -780)
    grain = ndimage.gaussian_filter(rng.standard_normal(x.shape), 1.0)
    units[lungs & (grain > 2.0 * grain.std())] = 30  # vessels
    slow = ndimage.gaussian_filter(rng.standard_normal(x.shape), 4.0)
    units += 20 * slow / slow.std() * (body < 1)
    units = ndimage.gaussian_filter(units, (0.5, 0.5, 0.3)) + rng.normal(0, 20, x.shape)
    return np.rint(units.clip(-1024, 3071)).astype(np.int16)


def _ball(x: np.ndarray, y: np.ndarray, z: np.ndarray, half_x: float, half_y: float, half_z: float) -> np.ndarray:
    return (x / half_x) ** 2 + (y / half_y) ** 2 + (z / half_z) ** 2 < 1
