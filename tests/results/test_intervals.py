"""Intervals and tests beside independent computations."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medseg.results.intervals import holm, mean_interval, paired_p_value


def test_the_interval_of_many_normal_values_is_that_of_the_t_distribution() -> None:
    values = np.random.default_rng(0).normal(0.8, 0.1, 400)
    half = 1.966 * values.std(ddof=1) / 20  # t quantile of 399 degrees of freedom, by table
    found = mean_interval(values)
    assert found.mean == pytest.approx(values.mean())
    assert found.low == pytest.approx(values.mean() - half, abs=1e-3)
    assert found.high == pytest.approx(values.mean() + half, abs=1e-3)
    assert str(found) == f"{found.mean:.4f} [{found.low:.3f}, {found.high:.3f}]"


def test_a_skewed_sample_has_a_longer_side_towards_its_tail() -> None:
    values = 1 - np.random.default_rng(1).exponential(0.1, 60)
    found = mean_interval(values)
    assert found.mean - found.low > 1.05 * (found.high - found.mean)


def test_missing_single_and_equal_values() -> None:
    assert mean_interval([0.5, float("nan"), 0.5]) == (0.5, 0.5, 0.5)
    assert mean_interval([0.25]) == (0.25, 0.25, 0.25)
    assert all(math.isnan(bound) for bound in mean_interval([]))


def test_the_p_value_is_that_of_all_changes_of_sign() -> None:
    one = [0.9, 0.8, 0.75, 0.6, 0.95, 0.7]
    other = [0.85, 0.82, 0.7, 0.4, 0.9, 0.62]
    difference = np.subtract(one, other)
    means = [abs(np.mean(difference * signs)) for signs in itertools.product((1, -1), repeat=6)]
    expected = np.mean([mean >= abs(difference.mean()) - 1e-12 for mean in means])
    assert paired_p_value(one, other) == pytest.approx(expected)
    assert paired_p_value(one, one) == 1


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_is_the_definition(p_values: list[float]) -> None:
    """Each is the largest of (m - rank + 1) p over all p-values up to it (Holm 1979)."""
    ranks = sorted(range(len(p_values)), key=lambda index: (p_values[index], index))
    adjusted = holm(p_values)
    for place, index in enumerate(ranks):
        steps = [(len(p_values) - rank) * p_values[ranks[rank]] for rank in range(place + 1)]
        assert adjusted[index] == pytest.approx(min(1, max(steps)))
