"""Volumes and intensities that can hardly be right."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from medseg.results.segment_measurement import SegmentMeasurement


def find_implausible(
    bounds: Mapping[str, Any], segments: Sequence[SegmentMeasurement], values: np.ndarray, unit: str
) -> list[str]:
    """What of a case lies outside the bounds of its bundle, a sentence each.

    Args:
        bounds: `plausible` of the bundle's metadata, with least and greatest value: `lowest_hu` and `highest_hu` of the
            source, and `volume_ml` by label. What is missing is not checked.
        segments: the measurements of the case.
        values: the source.
        unit: of the values; only those in HU are compared.
    """
    found = []
    extremes = {"lowest": np.nanmin(values), "highest": np.nanmax(values)} if unit == "HU" else {}
    for name, value in extremes.items():
        low, high = bounds.get(f"{name}_hu", (-math.inf, math.inf))
        if not low <= value <= high:
            found.append(
                f"The {name} value of the source is {value:g}, plausible are {low} to {high} HU: check that it is a CT "
                "volume in Hounsfield units that shows what the bundle segments."
            )
    for segment in segments:
        low, high = bounds.get("volume_ml", {}).get(str(segment.label), (0, math.inf))
        if segment.volume_ml is not None and not low <= segment.volume_ml <= high:
            found.append(
                f"The volume of {segment.name} is {segment.volume_ml:.0f} ml, plausible are {low} to {high} ml: check "
                "the source and the mask."
            )
    return found
