"""Smooth random fields, the raw material of every phantom."""

import numpy as np

__all__ = ["cloud_noise", "smooth_noise"]

# mean of the summed squared weights of a cubic B-spline, per axis
_SPLINE_VARIANCE = 151 / 315


def smooth_noise(rng: np.random.Generator, shape: tuple[int, int], cell: float) -> np.ndarray:
    """Random field whose features are about ``cell`` pixels wide: white noise on a grid, spline in between.

    Args:
        rng: the source of the random numbers.
        shape: (H, W) of the field.
        cell: distance in pixels between the grid points; at 1 and below it is white noise.

    Returns:
        float array ``(H, W)``, normally distributed with mean 0 and, averaged over the picture, variance 1.
    """
    if cell <= 1:
        return rng.standard_normal(shape)
    rows, columns = (_spline_weights(size, cell) for size in shape)
    grid = rng.standard_normal((rows.shape[1], columns.shape[1]))
    return rows @ grid @ columns.T / _SPLINE_VARIANCE


def cloud_noise(rng: np.random.Generator, shape: tuple[int, int], cell: float, octaves: int) -> np.ndarray:
    """Sum of :func:`smooth_noise` from ``cell`` pixels down, each octave half as wide and half as strong."""
    layers = [smooth_noise(rng, shape, cell / 2**octave) / 2**octave for octave in range(octaves)]
    return np.sum(layers, axis=0)


def _spline_weights(size: int, cell: float) -> np.ndarray:
    """Uniform cubic B-spline basis ``(size, grid points)``: each row mixes the four grid points around it."""
    place = np.arange(size) / cell
    first = place.astype(int)
    t = (place - first)[:, None]
    weights = np.hstack([(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3]) / 6
    basis = np.zeros((size, first[-1] + 4))
    np.put_along_axis(basis, first[:, None] + np.arange(4), weights, axis=1)
    return basis
