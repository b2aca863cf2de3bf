"""The gallery of the report, and the legend of its colors."""

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

from medseg.handlers.case_pictures import TRUTH_COLOR, label_color
from medseg.handlers.overlay_sheet import LABEL_COLOR, PREDICTION_COLOR
from medseg.results.report.embedding import LARGEST_PICTURES, Embedded
from medseg.results.report.results import Results, finite, measurements, worst_first
from medseg.results.report.tables import figure_text

__all__ = ["Shown", "gallery", "shown_pictures"]


class Shown(NamedTuple):
    """A picture of the gallery: whose it is, what is written below, and its file."""

    case: str
    notes: list[str]
    picture: Path


def shown_pictures(results: Results) -> list[Shown]:
    """The gallery, the worst evaluated case first, then those without a Dice value, then cases never evaluated."""
    shown: list[Shown] = []
    done: set[Path] = set()
    several = len({score.set_name for score in results.scores}) > 1
    for score in worst_first(results.scores):
        if score.picture is None:
            continue
        dice = [f"{name} {figure_text(score.values[name], 3)}" for name in results.dice]
        shown.append(Shown(score.case, [*([score.set_name] if several else []), *dice], score.picture))
        done.add(score.picture)
    records = {record["case"]: record for record in results.records}
    shown += [
        Shown(case, _sizes(records[case]) if case in records else [], picture)
        for case, picture in results.pictures.items()
        if picture not in done
    ]
    if results.sheet is not None:
        shown.append(Shown("The first images", [], results.sheet))
    return shown


def gallery(results: Results, shown: Sequence[Shown], pictures: Mapping[Path, Embedded]) -> str:
    """The pictures that fit into the page, with their legend; empty if there is none."""
    if not shown:
        return ""
    figures = []
    for number, (case, notes, path) in enumerate(shown):
        if path not in pictures:
            continue
        picture = pictures[path]
        text = "".join(f" <span>{escape(note)}</span>" for note in notes)
        figures.append(
            f'<figure id="case-{number}"><button type="button" aria-pressed="false" title="larger or smaller">'
            f'<img src="{picture.address}" width="{picture.width}" height="{picture.height}" '
            f'alt="Outlines on {escape(case)}" decoding="async"></button>'
            f"<figcaption><b>{escape(case)}</b>{text}</figcaption></figure>"
        )
    notes_above = []
    if results.dice and results.scores:
        notes_above.append("The worst case comes first.")
    if results.volumes:
        notes_above.append("Slices go from head to foot, the patient's right (R) is on the left.")
    if missing := len(shown) - len(figures):
        notes_above.append(
            f"Pictures left out: {missing}, because the page holds {LARGEST_PICTURES // 1_000_000} MB of them at most "
            "or because they cannot be read; see the folder pictures."
        )
    note = f'<p class="note">{escape(" ".join(notes_above))}</p>' if notes_above else ""
    kind = "gallery volumes" if results.volumes else "gallery"
    return f'{_legend(results)}{note}<div class="{kind}">{"".join(figures)}</div>'


def _legend(results: Results) -> str:
    if results.sheet is not None:  # it has colors of its own
        keys = [(f"rgb{PREDICTION_COLOR}", "prediction"), (f"rgb{LABEL_COLOR}", "true label, where there is one")]
    else:
        keys = [(f"rgb{label_color(label)}", name) for label, name in _label_names(results).items()]
        if results.scores:
            keys.append((f"rgb{TRUTH_COLOR}", "true label"))
    entries = [
        f'<li><span class="swatch" style="background:{color}"></span>{escape(name)}</li>' for color, name in keys
    ]
    return f'<ul class="legend">{"".join(entries)}</ul>'


def _label_names(results: Results) -> dict[int, str]:
    """Label -> name, from the records or, without these, from the columns of the Dice values."""
    names = {
        label: str(measured.get("name") or f"label {label}")
        for record in results.records
        for measured in measurements(record)
        if isinstance(label := measured.get("label"), int) and label > 0
    }
    if not names:
        kinds = [name.partition("_")[2] for name in results.dice]
        names = {number: kind or "prediction" for number, kind in enumerate(kinds, start=1)} or {1: "prediction"}
    return dict(sorted(names.items()))


def _sizes(record: Mapping[str, Any]) -> list[str]:
    """The size of every label of a case, in the best unit there is."""
    sizes = []
    for measured in measurements(record):
        for key, unit, decimals in (("volume_ml", "ml", 1), ("area_mm2", "mm²", 1), ("area_pixels", "pixels", 0)):
            if (value := finite(measured.get(key))) is not None:
                sizes.append(f"{measured.get('name') or measured.get('label')} {figure_text(value, decimals)} {unit}")
                break
    return sizes
