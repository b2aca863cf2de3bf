"""What the sections of the report's page show, as plain values for its template, which escapes them."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from medseg.results.report.gallery import format_number
from medseg.results.report.plots import histogram, summary, svg_address
from medseg.results.report.reading import Results, finite, measurements, worst_first
from medseg.results.segment_measurement import MEASURES

_FACTS = {
    "bundle": "Bundle",
    "bundle_version": "Bundle's version",
    "medseg_version": "medseg",
    "monai_version": "MONAI",
    "torch_version": "PyTorch",
    "weights": "Weights",
    "weights_sha256": "Weights' SHA-256",
    "command": "Command",
    "seed": "Seed",
    "device": "Device",
}


class Column(NamedTuple):
    """A column: its heading, and the decimals of its numbers, None for a column of text."""

    title: str
    decimals: int | None = None


class Cell(NamedTuple):
    """A cell of text, with the color of a label before it and a link to an anchor of the page."""

    text: str
    label: int = 0
    anchor: str = ""


class Table(NamedTuple):
    """A table: a row has a number or None in a column of numbers, a `Cell` in one of text."""

    columns: list[Column]
    rows: list[list[Any]]


def title(results: Results) -> str:
    """The bundle and its version, or the folder's name where no record tells the bundle."""
    provenances = [record["provenance"] for record in results.records]
    bundles = [f"{one['bundle']} {one.get('bundle_version') or ''}".strip() for one in provenances if one.get("bundle")]
    return ", ".join(dict.fromkeys(bundles)) or results.folder.resolve().name


def counts(results: Results) -> list[tuple[str, str]]:
    """Name and value of the figures at the top."""
    found: list[tuple[str, str]] = []
    if results.records:
        found.append(("cases segmented", str(len(results.records))))
    if results.scores:
        found.append(("images with labels", str(len(results.scores))))
    if known := [score.overall for score in results.scores if score.overall is not None]:
        found += [("median Dice", f"{median(known):.3f}"), ("lowest Dice", f"{min(known):.3f}")]
    if seconds := [value for record in results.records if isinstance(value := record.get("seconds"), int | float)]:
        middle = median(seconds)
        found.append(("seconds a case, median", format_number(middle, 2 if middle < 10 else 0)))
    if results.problems or (results.folder / "problems.json").is_file():
        found.append(("problems", str(len(results.problems))))
    return found


def evaluation(results: Results, anchors: Mapping[Path, str]) -> dict[str, Any]:
    """Tables of the test sets and of the images (None for one without rows), and a plot for each Dice column and set.

    Args:
        results: what the folder holds.
        anchors: file of a picture -> its anchor in the page.
    """
    sets = cases = None
    if len(results.sets) > 1:
        columns = [Column("Set"), Column("Images", 0), *(Column(name, 4) for name in results.sets[0][2:])]
        sets = Table(columns, [[Cell(line[0]), *map(finite, line[1:])] for line in results.sets[1:]])
    if results.scores:
        columns = [Column("Image"), Column("Set"), *(Column(name, 4) for name in results.metrics)]
        rows = [
            [_case(score.case, score.picture, anchors), Cell(score.set_name), *score.values.values()]
            for score in worst_first(results.scores)
        ]
        cases = Table(columns, rows)
    names = dict.fromkeys(score.set_name for score in results.scores)
    plots = []
    for dice in results.dice:
        for name in names:
            found = [score.values[dice] for score in results.scores if score.set_name == name]
            if values := [value for value in found if value is not None]:
                head = f"{dice}, {name}" if len(names) > 1 else dice
                address = svg_address(histogram(values))
                plots.append({"title": head, "summary": summary(values), "address": address})
    return {"sets": sets, "cases": cases, "plots": plots}


def measurement_table(results: Results, anchors: Mapping[Path, str]) -> Table | None:
    """A row per case and label, with the measurements that any of them has; None if there is none."""
    pairs = [(record, measured) for record in results.records for measured in measurements(record) or [{}]]
    used = [
        key
        for key, measure in MEASURES.items()
        if measure.heading and any(finite(measured.get(key)) is not None for _record, measured in pairs)
    ]
    if "area_pixels" in used:
        used = [key for key in used if key != "voxels"]  # the same number
    if not used:
        return None
    units = {key: MEASURES[key].unit for key in used}
    if "mean_intensity" in used:
        units["mean_intensity"] = ", ".join(_distinct(measured.get("intensity_unit") for _record, measured in pairs))
    heads = [f"{MEASURES[key].heading} ({unit})" if unit else MEASURES[key].heading for key, unit in units.items()]
    columns = [Column(head, MEASURES[key].decimals) for key, head in zip(used, heads, strict=True)]
    rows = [
        [
            _case(record["case"], results.pictures.get(record["case"]), anchors),
            _label(measured),
            *(finite(measured.get(key)) for key in used),
        ]
        for record, measured in pairs
    ]
    return Table([Column("Case"), Column("Label"), *columns], rows)


def facts(results: Results) -> list[tuple[str, list[str]]]:
    """Name and values of what the results were made with; several values where runs differ."""
    provenances = [record["provenance"] for record in results.records]
    found = [("Folder", [results.folder.resolve().name])]
    found += [(head, _distinct(one.get(key) for one in provenances)) for key, head in _FACTS.items()]
    finished = sorted(_distinct(one.get("finished") for one in provenances))
    found.append(("Finished", [f"{finished[0]} to {finished[-1]}"] if len(finished) > 1 else finished))
    return [(head, values) for head, values in found if values]


def _distinct(values: Iterable[Any]) -> list[str]:
    """As text, each once, without those that are not known."""
    return list(dict.fromkeys(str(value) for value in values if value is not None and value != ""))


def _label(measured: Mapping[str, Any]) -> Cell:
    label = measured.get("label")
    name = str(measured.get("name") or ("" if label is None else f"label {label}"))
    return Cell(name, label if isinstance(label, int) and label > 0 else 0)


def _case(case: str, picture: Path | None, anchors: Mapping[Path, str]) -> Cell:
    return Cell(case, anchor=anchors.get(picture, "") if picture else "")
