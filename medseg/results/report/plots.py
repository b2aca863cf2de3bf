"""Plots as SVG text, colored by the page's style sheet."""

from collections.abc import Sequence
from html import escape
from statistics import fmean, quantiles

__all__ = ["histogram", "summary"]

_BINS = 20
_WIDTH, _HEIGHT = 400, 190
_LEFT, _RIGHT, _TOP = 40, 12, 14
_PLOT = 110  # height of the bars' area
_STRIP = _TOP + _PLOT + 14  # where the single values lie


def histogram(title: str, values: Sequence[tuple[str, float]]) -> str:
    """The distribution of values between 0 and 1: bars in steps of 0.05, a dot for each value, a line at the median.

    Args:
        title: what is shown; escaped here.
        values: (name of the case, value), at least one.

    Returns:
        an `<svg>` element; every text in it is escaped.
    """
    counts = [0] * _BINS
    for _case, value in values:
        counts[min(_BINS - 1, max(0, int(value * _BINS)))] += 1
    most = max(counts)
    floor = _TOP + _PLOT
    parts = [
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(title)}: {escape(summary(values))}">',
        *(_level(count, most, floor) for count in dict.fromkeys((0, (most + 1) // 2, most))),
    ]
    for place, count in enumerate(counts):
        if count:
            left, right = _x(place / _BINS) + 1, _x((place + 1) / _BINS) - 1
            top = floor - count / most * _PLOT
            span = f"{place / _BINS:.2f} to {(place + 1) / _BINS:.2f}: {count}"
            parts.append(
                f'<rect class="bar" x="{left:.1f}" y="{top:.1f}" width="{right - left:.1f}" '
                f'height="{floor - top:.1f}"><title>{span}</title></rect>'
            )
    parts += [
        f'<circle class="dot" cx="{_x(value):.1f}" cy="{_STRIP}" r="4">'
        f"<title>{escape(case)}: {value:.3f}</title></circle>"
        for case, value in values
    ]
    middle = _x(_quartiles(values)[1])
    parts.append(f'<line class="median" x1="{middle:.1f}" x2="{middle:.1f}" y1="{_TOP}" y2="{_STRIP + 7}"/>')
    for tick in (0, 0.25, 0.5, 0.75, 1):
        parts.append(f'<text x="{_x(tick):.1f}" y="{_STRIP + 26}" text-anchor="middle">{tick:g}</text>')
    parts.append(f'<text x="{_x(0.5):.1f}" y="{_STRIP + 44}" text-anchor="middle">{escape(title)}</text></svg>')
    return "".join(parts)


def summary(values: Sequence[tuple[str, float]]) -> str:
    """Number, median, quartiles, mean and the lowest value, as a line of text."""
    numbers = [value for _case, value in values]
    if len(numbers) == 1:
        return f"1 case, {numbers[0]:.3f}"
    low, middle, high = _quartiles(values)
    return (
        f"{len(numbers)} cases, median {middle:.3f}, quartiles {low:.3f} to {high:.3f}, "
        f"mean {fmean(numbers):.3f}, lowest {min(numbers):.3f}"
    )


def _quartiles(values: Sequence[tuple[str, float]]) -> list[float]:
    numbers = [value for _case, value in values]
    return quantiles(numbers, n=4, method="inclusive") if len(numbers) > 1 else numbers * 3


def _x(value: float) -> float:
    return _LEFT + min(1.0, max(0.0, value)) * (_WIDTH - _LEFT - _RIGHT)


def _level(count: int, most: int, floor: int) -> str:
    y = floor - count / most * _PLOT
    return (
        f'<line class="level" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{count}</text>'
    )
