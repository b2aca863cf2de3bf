"""Plots of the report, drawn by matplotlib."""

import base64
import io
from collections.abc import Sequence
from statistics import fmean

import matplotlib
import numpy as np
from matplotlib.figure import Figure

_BINS = 20
_INK = "#010203"  # stands for the color of text, which is the reader's: light or dark
_STYLE = "<style>svg{color:#59636e}@media (prefers-color-scheme:dark){svg{color:#9ba6b1}}</style>"


def histogram(values: Sequence[float]) -> Figure:
    """The distribution of values between 0 and 1: bars in steps of 0.05, a dot for each value, a line at the median.

    Args:
        values: at least one; what lies outside of the range is drawn at its ends.
    """
    shown = np.clip(values, 0, 1)
    figure = Figure(figsize=(4.4, 2.0), layout="constrained")
    bars, dots = figure.subplots(2, 1, sharex=True, height_ratios=(6, 1))
    bars.hist(shown, bins=_BINS, range=(0, 1), color="#2f86c1", rwidth=0.9)
    bars.yaxis.get_major_locator().set_params(integer=True, nbins=4)
    bars.tick_params(axis="x", bottom=False)
    bars.grid(axis="y", color=_INK, alpha=0.25)
    bars.set_axisbelow(True)
    dots.plot(shown, np.zeros(len(shown)), "o", color=_INK, alpha=0.4, markersize=5, markeredgewidth=0, clip_on=False)
    dots.set(yticks=[], ylim=(-1, 1), xlim=(0, 1), xticks=np.linspace(0, 1, 5))
    for axes in (bars, dots):
        axes.axvline(np.median(shown), color="#d9622b")
        axes.patch.set_visible(False)
        axes.tick_params(color=_INK, labelcolor=_INK, labelsize=8, left=False)
        axes.spines[:].set_visible(False)
    return figure


def summary(values: Sequence[float]) -> str:
    """Number, median, quartiles, mean and the lowest value, as a line of text."""
    if len(values) == 1:
        return f"1 case, {values[0]:.3f}"
    low, middle, high = np.quantile(values, (0.25, 0.5, 0.75))
    return (
        f"{len(values)} cases, median {middle:.3f}, quartiles {low:.3f} to {high:.3f}, "
        f"mean {fmean(values):.3f}, lowest {min(values):.3f}"
    )


def svg_address(figure: Figure) -> str:
    """A figure as the `data:` address of an SVG without a background, its text in the reader's light or dark colors."""
    stream = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "medseg"}):
        figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None})
    text = stream.getvalue().replace(_INK, "currentColor").replace("<defs>", f"{_STYLE}<defs>", 1)
    return f"data:image/svg+xml;base64,{base64.b64encode(text.encode()).decode()}"
