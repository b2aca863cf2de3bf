"""What the phantoms are drawn with: smooth random fields, soft steps and irregular outlines."""

from collections.abc import Iterable

import numpy as np
from scipy.interpolate import BSpline

# mean of the summed squared weights of a cubic B-spline, per axis
_SPLINE_VARIANCE = 151 / 315


def check_size(size: tuple[int, int]) -> tuple[int, int]:
    """Return the height and width, or raise a `ValueError` if one is below 64 pixels."""
    if min(size) < 64:
        raise ValueError(f"A phantom must measure at least 64 x 64 pixels, got {size[0]} x {size[1]}.")
    return size


def center_fields(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns `(H, W)` of every pixel from the center, in units of the shorter side."""
    rows, columns = np.mgrid[:height, :width]
    short = min(height, width)
    return (rows - height / 2) / short, (columns - width / 2) / short


def smooth_noise(rng: np.random.Generator, shape: tuple[int, int], cell: float) -> np.ndarray:
    """Random field `(H, W)` whose features are about `cell` pixels wide: white noise on a grid, splines in between.

    Normally distributed with mean 0 and, averaged over the picture, variance 1; white noise if `cell` is 1 or less.
    """
    if cell <= 1:
        return rng.standard_normal(shape)
    rows, columns = (_spline_weights(size, cell) for size in shape)
    grid = rng.standard_normal((rows.shape[1], columns.shape[1]))
    return rows @ grid @ columns.T / _SPLINE_VARIANCE


def cloud_noise(rng: np.random.Generator, shape: tuple[int, int], cell: float, octaves: int) -> np.ndarray:
    """Sum of `smooth_noise` from `cell` pixels down, each octave half as wide and half as strong."""
    return np.sum([smooth_noise(rng, shape, cell / 2**octave) / 2**octave for octave in range(octaves)], axis=0)


def irregular_ellipse(
    rng: np.random.Generator,
    place: tuple[np.ndarray, np.ndarray],
    turn: float,
    stretch: float,
    waves: Iterable[int],
    roughness: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distance from an ellipse's center, angle, and relative radius of its random outline in that direction.

    Args:
        rng: the source of the random numbers.
        place: rows and columns of every pixel from the ellipse's center.
        turn: of the long axis from the columns' axis, in radians.
        stretch: long axis by short axis.
        waves: numbers of waves around the outline.
        roughness: standard deviation of the amplitude of a single wave; that of k waves is a k-th of it.
    """
    dy, dx = place
    along = (np.cos(turn) * dx + np.sin(turn) * dy) / np.sqrt(stretch)
    across = (np.cos(turn) * dy - np.sin(turn) * dx) * np.sqrt(stretch)
    angle = np.arctan2(across, along)
    bumps = [rng.normal(0, roughness / k) * np.cos(k * angle + rng.uniform(0, 2 * np.pi)) for k in waves]
    return np.hypot(along, across), angle, 1 + np.sum(bumps, axis=0)


def soft_step(values: np.ndarray, width: float) -> np.ndarray:
    """Smooth step from 1 to 0 where `values` pass 1."""
    return 1 / (1 + np.exp(((values - 1) / width).clip(-50, 50)))


def to_bytes(picture: np.ndarray) -> np.ndarray:
    """A picture of 0 to 1 as uint8 of 0 to 255."""
    return np.rint(picture.clip(0, 1) * 255).astype(np.uint8)


def _spline_weights(size: int, cell: float) -> np.ndarray:
    """Uniform cubic B-spline basis `(size, grid points)`: each row mixes the four grid points around it."""
    position = np.arange(size) / cell
    return BSpline.design_matrix(position, np.arange(-3, int(position[-1]) + 5), 3).toarray()
