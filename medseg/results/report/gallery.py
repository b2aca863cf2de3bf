"""The pictures of the report, and the legend of their colors."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from medseg.results.pictures import TRUTH_COLOR, label_color
from medseg.results.report.reading import Results, finite, measurements, worst_first
from medseg.results.segment_measurement import MEASURES


class Shown(NamedTuple):
    """A picture of the gallery: whose it is, what is written below, and its file."""

    case: str
    notes: list[str]
    file: Path


def shown_pictures(results: Results) -> list[Shown]:
    """The gallery, the worst evaluated case first, then those without a Dice value, then cases never evaluated."""
    shown: list[Shown] = []
    several = len({score.set_name for score in results.scores}) > 1
    for score in worst_first(results.scores):
        if score.picture is not None:
            dice = [f"{name} {format_number(score.values[name], 3)}" for name in results.dice]
            shown.append(Shown(score.case, [*([score.set_name] if several else []), *dice], score.picture))
    done = {one.file for one in shown}
    records = {record["case"]: record for record in results.records}
    shown += [
        Shown(case, _sizes(records[case]) if case in records else [], file)
        for case, file in results.pictures.items()
        if file not in done
    ]
    if results.sheet is not None:
        shown.append(Shown("The first images", [], results.sheet))
    return shown


def legend(results: Results) -> list[tuple[tuple[int, int, int], str]]:
    """Color and name of each label, from the records or, without these, from the columns of the Dice values."""
    names = {
        label: str(measured.get("name") or f"label {label}")
        for record in results.records
        for measured in measurements(record)
        if isinstance(label := measured.get("label"), int) and label > 0
    }
    if not names:
        kinds = [name.partition("_")[2] for name in results.dice]
        names = {number: kind or "prediction" for number, kind in enumerate(kinds, start=1)} or {1: "prediction"}
    colors = [(label_color(label), name) for label, name in sorted(names.items())]
    return [*colors, (TRUTH_COLOR, "true label")] if results.scores else colors


def format_number(value: float | None, decimals: int) -> str:
    """A number with its thousands apart, or a dash where there is none."""
    if value is None:
        return "\u2013"
    # the narrow no-break space of the SI brochure, and a true minus
    return f"{value:,.{decimals}f}".replace(",", "\u202f").replace("-", "\u2212")


def _sizes(record: Mapping[str, Any]) -> list[str]:
    """The size of every label of a case, in the best unit there is."""
    sizes = []
    for measured in measurements(record):
        for key in ("volume_ml", "area_mm2", "area_pixels"):
            if (value := finite(measured.get(key))) is not None:
                name = measured.get("name") or measured.get("label")
                sizes.append(f"{name} {format_number(value, MEASURES[key].decimals)} {MEASURES[key].unit}")
                break
    return sizes
