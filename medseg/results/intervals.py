"""Confidence intervals and tests over the images of an evaluation."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import bootstrap, permutation_test

_RESAMPLES = 9999


class Interval(NamedTuple):
    """A mean and the bounds of its confidence interval; NaN where there are no values."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.4f} [{self.low:.3f}, {self.high:.3f}]"


def mean_interval(values: Sequence[float], level: float = 0.95, seed: int = 0) -> Interval:
    """Mean over the images and its bootstrap interval (BCa, 9,999 resamples, `scipy.stats.bootstrap`).

    The interval covers the choice of the images. It does not cover another training run.

    Args:
        values: one value per image; NaN is left out. Fewer than two values, or equal ones, have no width.
        level: coverage, 0 to 1.
        seed: of the resampling.
    """
    known = np.asarray(values, dtype=np.float64)
    known = known[~np.isnan(known)]
    if len(known) < 2 or np.ptp(known) == 0:
        mean = float(known.mean()) if len(known) else float("nan")
        return Interval(mean, mean, mean)
    found = bootstrap(
        (known,), np.mean, n_resamples=_RESAMPLES, confidence_level=level, rng=np.random.default_rng(seed)
    )
    return Interval(float(known.mean()), *map(float, found.confidence_interval))


def paired_p_value(one: Sequence[float], other: Sequence[float], seed: int = 0) -> float:
    """Two-sided p-value of a paired permutation test of the mean difference (`scipy.stats.permutation_test`).

    Args:
        one: values of the images.
        other: values of the same images in the same order.
        seed: of the permutations; all are tried if there are no more than 9,999.
    """
    found = permutation_test(
        (np.asarray(one, dtype=np.float64), np.asarray(other, dtype=np.float64)),
        lambda first, second, axis: np.mean(first - second, axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=_RESAMPLES,
        rng=np.random.default_rng(seed),
    )
    return float(found.pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values adjusted for several tests (Holm 1979, Scandinavian Journal of Statistics 6, 65-70)."""
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(np.argsort(p_values, kind="stable")):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted
