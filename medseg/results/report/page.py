"""The parts of the report's page, as HTML. Every text from a file is escaped here or in the functions called."""

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from statistics import median
from typing import Any

from medseg.handlers.case_pictures import label_color
from medseg.results.report.embedding import Embedded
from medseg.results.report.gallery import Shown, gallery
from medseg.results.report.plots import histogram, summary
from medseg.results.report.results import Results, finite, measurements, worst_first
from medseg.results.report.tables import Column, Markup, figure_text, table

__all__ = ["body", "title"]

# key of a measurement, heading, decimals
_MEASURES = (
    ("voxels", "Voxels", 0),
    ("volume_ml", "Volume (ml)", 2),
    ("area_pixels", "Area (pixels)", 0),
    ("area_mm2", "Area (mm²)", 1),
    ("surface_mm2", "Surface (mm²)", 0),
    ("largest_diameter_mm", "Largest diameter (mm)", 1),
    ("components", "Parts", 0),
    ("mean_intensity", "Mean intensity", 1),
)
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


def title(results: Results) -> str:
    """The bundle and its version, or the folder's name where no record tells the bundle."""
    provenances = [record["provenance"] for record in results.records]
    bundles = [f"{one['bundle']} {one.get('bundle_version') or ''}".strip() for one in provenances if one.get("bundle")]
    return ", ".join(dict.fromkeys(bundles)) or results.folder.resolve().name


def body(results: Results, shown: Sequence[Shown], pictures: Mapping[Path, Embedded]) -> str:
    """All sections of the page."""
    places = {picture.picture: f"case-{number}" for number, picture in enumerate(shown) if picture.picture in pictures}
    sections = {
        "Problems": _problems(results),
        "Evaluation": _evaluation(results, places),
        "Measurements": _measurements(results, places),
        "Pictures": gallery(results, shown, pictures),
        "Run": _facts(results),
    }
    parts = [_section(head, content) for head, content in sections.items() if content]
    return "\n".join([_overview(results), *parts])


def _overview(results: Results) -> str:
    counts: list[tuple[str, str]] = []
    if results.records:
        counts.append(("cases segmented", str(len(results.records))))
    if results.scores:
        counts.append(("images with labels", str(len(results.scores))))
        known = [score.overall for score in results.scores if score.overall is not None]
        if known:
            counts += [("median Dice", f"{median(known):.3f}"), ("lowest Dice", f"{min(known):.3f}")]
    seconds = [value for record in results.records if isinstance(value := record.get("seconds"), int | float)]
    if seconds:
        counts.append(("seconds a case, median", figure_text(median(seconds), 2 if median(seconds) < 10 else 0)))
    if results.problems or (results.folder / "problems.json").is_file():
        counts.append(("problems", str(len(results.problems))))
    tiles = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in counts)
    return f'<dl class="counts">{tiles}</dl>' if tiles else ""


def _problems(results: Results) -> str:
    if not results.problems:
        return ""
    entries = "".join(
        f"<li>{f'<b>{escape(case)}</b>: ' if case else ''}{escape(problem)}</li>" for case, problem in results.problems
    )
    return f'<ul class="problems">{entries}</ul>'


def _evaluation(results: Results, places: Mapping[Path, str]) -> str:
    if not results.scores and len(results.sets) < 2:
        return ""
    parts = []
    if len(results.sets) > 1:
        columns = [Column("Set"), Column("Images", 0), *(Column(name, 4) for name in results.sets[0][2:])]
        means = [[line[0], *(finite(cell) for cell in line[1:])] for line in results.sets[1:]]
        parts.append(table("Means over the images of each test set", columns, means))
    sets = list(dict.fromkeys(score.set_name for score in results.scores))
    plots = []
    for name in results.dice:
        for set_name in sets:
            values = [
                (score.case, value)
                for score in results.scores
                if score.set_name == set_name and (value := score.values[name]) is not None
            ]
            if values:
                head = f"{name}, {set_name}" if len(sets) > 1 else name
                plots.append(
                    f"<figure>{histogram(head, values)}<figcaption>{escape(summary(values))}</figcaption></figure>"
                )
    if plots:
        parts.append(
            f'<div class="plots">{"".join(plots)}</div><p class="note">Bars count cases in steps of 0.05, '
            "a dot is a case, the line is the median.</p>"
        )
    columns = [Column("Image"), Column("Set"), *(Column(name, 4) for name in results.metrics)]
    rows = [
        [_case_cell(score.case, score.picture, places), score.set_name, *score.values.values()]
        for score in worst_first(results.scores)
    ]
    if rows:
        parts.append(table("Each image, the worst first", columns, rows))
    return "".join(parts)


def _measurements(results: Results, places: Mapping[Path, str]) -> str:
    pairs = [(record, measured) for record in results.records for measured in measurements(record) or [{}]]
    used = [
        (key, heading, decimals)
        for key, heading, decimals in _MEASURES
        if any(finite(measured.get(key)) is not None for _record, measured in pairs)
    ]
    if any(key == "area_pixels" for key, _heading, _decimals in used):
        used = [entry for entry in used if entry[0] != "voxels"]  # the same number
    if not used:
        return ""
    units = {str(unit) for _record, measured in pairs if (unit := measured.get("intensity_unit"))}
    columns = [Column("Case"), Column("Label")]
    for key, heading, decimals in used:
        unit = f" ({', '.join(sorted(units))})" if key == "mean_intensity" and units else ""
        columns.append(Column(heading + unit, decimals))
    rows = [
        [
            _case_cell(record["case"], results.pictures.get(record["case"]), places),
            _label_cell(measured),
            *(finite(measured.get(key)) for key, _heading, _decimals in used),
        ]
        for record, measured in pairs
    ]
    return table("Each case and label", columns, rows)


def _facts(results: Results) -> str:
    entries = [("Folder", [str(results.folder.resolve().name)])]
    for key, head in _FACTS.items():
        if values := _distinct(results.records, key):
            entries.append((head, [str(value) for value in values]))
    if finished := sorted(str(value) for value in _distinct(results.records, "finished")):
        entries.append(("Finished", finished if len(finished) == 1 else [f"{finished[0]} to {finished[-1]}"]))
    mixed = any(len(values) > 1 for _head, values in entries)
    note = '<p class="note">The cases come from runs that differ in the facts with several values.</p>' if mixed else ""
    if not results.records:
        note = '<p class="note">The folder has no records of an inference, which would tell weights and versions.</p>'
    listed = "".join(
        f"<dt>{escape(head)}</dt><dd>{'<br>'.join(f'<code>{escape(value)}</code>' for value in values)}</dd>"
        for head, values in entries
    )
    return f'{note}<dl class="facts">{listed}</dl>'


def _section(head: str, content: str) -> str:
    name = head.lower()
    return f'<section aria-labeledby="{name}"><h2 id="{name}">{head}</h2>\n{content}\n</section>'


def _distinct(records: Sequence[Mapping[str, Any]], key: str) -> list[Any]:
    """The values of a fact, each once, without those that are not known."""
    values = [record["provenance"].get(key) for record in records]
    return [value for value in dict.fromkeys(map(_hashable, values)) if value is not None and value != ""]


def _hashable(value: Any) -> Any:
    return value if isinstance(value, str | int | float | bool | type(None)) else str(value)


def _label_cell(measured: Mapping[str, Any]) -> Markup:
    label = measured.get("label")
    name = str(measured.get("name") or ("" if label is None else f"label {label}"))
    swatch = ""
    if isinstance(label, int) and label > 0:
        swatch = f'<span class="swatch" style="background:rgb{label_color(label)}"></span>'
    return Markup(f"{swatch}{escape(name)}", name)


def _case_cell(case: str, picture: Path | None, places: Mapping[Path, str]) -> Markup:
    place = places.get(picture) if picture else None
    return Markup(f'<a href="#{place}">{escape(case)}</a>' if place else escape(case), case)
