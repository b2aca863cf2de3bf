"""What a results folder holds, read for its report. Nothing here writes a file."""

import csv
import json
import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from statistics import fmean
from typing import Any

from medseg.data.input_types import VOLUME_SUFFIXES
from medseg.errors import InputError
from medseg.files import case_name
from medseg.results.pictures import SHEET_FILE, picture_file
from medseg.results.tables import METRIC_COLUMNS, RECORD_SCHEMA, RECORDS, plain_cell


@dataclass(frozen=True)
class Score:
    """One image of an evaluation, a line of `images.csv`.

    Attributes:
        set_name: its test set.
        case: its name.
        values: metric -> value, None where there is none.
        overall: mean of the Dice values that are there, None if there is none.
        picture: its PNG, None if there is none.
    """

    set_name: str
    case: str
    values: dict[str, float | None]
    overall: float | None
    picture: Path | None


@dataclass
class Results:
    """The contents of a results folder.

    Attributes:
        folder: the folder.
        records: of the inferred cases, by name.
        scores: of the evaluated images, in their order.
        metrics: the columns of `images.csv`.
        dice: those of them that are Dice values of delivered masks.
        sets: header and lines of `table.csv`, empty without one.
        problems: (case, what is wrong with it).
        pictures: case -> its PNG, for cases of inference and pictures that belong to no known case.
        sheet: the contact sheet, where there are no pictures of single cases.
        volumes: whether there are volumes among the cases.
        date: when the last result was written, UTC.
    """

    folder: Path
    records: list[dict[str, Any]] = field(default_factory=list)
    scores: list[Score] = field(default_factory=list)
    metrics: list[str] = field(default_factory=list)
    dice: list[str] = field(default_factory=list)
    sets: list[list[str]] = field(default_factory=list)
    problems: list[tuple[str, str]] = field(default_factory=list)
    pictures: dict[str, Path] = field(default_factory=dict)
    sheet: Path | None = None
    volumes: bool = False
    date: datetime | None = None


def read_results(folder: Path) -> Results:
    """Read the results of an inference run, of an evaluation, or of both.

    Args:
        folder: the `output_dir` of the run. A record that cannot be read becomes one of the problems.

    Raises:
        InputError: the folder is missing, or holds nothing of either.
    """
    if not folder.is_dir():
        raise InputError(f"There is no folder '{folder}': give the output_dir of an inference or evaluation run.")
    results = Results(folder)
    _read_records(results)
    _read_scores(results)
    _read_pictures(results)
    _read_problems(results)
    if not (results.records or results.scores or results.problems or results.pictures or results.sheet):
        raise InputError(
            f"'{folder}' holds no results (neither records/ nor measurements.json, images.csv or pictures/): "
            "give the output_dir of an inference or evaluation run."
        )
    results.date = _date(results)
    return results


def finite(value: Any) -> float | None:
    """A number, also one given as text; None for anything else, NaN and infinity."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def measurements(record: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The measurements of a record, one per label."""
    return [measured for measured in record["measurements"] if isinstance(measured, Mapping)]


def worst_first(scores: Sequence[Score]) -> list[Score]:
    """In the order of the overall Dice, those without one last."""
    return sorted(scores, key=lambda score: (score.overall is None, score.overall or 0.0))


def _read_records(results: Results) -> None:
    found: dict[str, Mapping[str, Any]] = {}
    together = results.folder / "measurements.json"
    if together.is_file():
        contents = _json(together)
        listed = contents.get("records") if isinstance(contents, Mapping) else None
        if not isinstance(listed, list):
            results.problems.append((together.name, "holds no list of records: run the inference again."))
        for number, record in enumerate(listed or []):
            _take(results, found, record, f"{together.name}, record {number + 1}")
    for path in sorted((results.folder / RECORDS).glob("*.json")):
        _take(results, found, _json(path), f"{RECORDS}/{path.name}")  # newer than the tables that are made of them
    results.records = [dict(found[case]) for case in sorted(found)]
    results.problems += [(one["case"], str(text)) for one in results.records for text in one.get("warnings") or ()]
    results.volumes |= any(len(record.get("shape") or []) == 3 for record in results.records)


def _take(results: Results, found: dict[str, Mapping[str, Any]], record: Any, source: str) -> None:
    if not isinstance(record, Mapping) or not isinstance(record.get("case"), str):
        results.problems.append((source, "is not a readable record: delete it and run that case again."))
    elif not isinstance(record.get("provenance"), Mapping) or not isinstance(record.get("measurements"), list):
        results.problems.append((source, "has no provenance or no measurements: delete it and run that case again."))
    elif record.get("schema") != RECORD_SCHEMA:
        results.problems.append(
            (source, f"has the schema {record.get('schema')!r}, this version of medseg reads {RECORD_SCHEMA!r}.")
        )
    else:
        found[record["case"]] = record


def _json(path: Path) -> Any:
    """The contents of a file, None if it is missing or no JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None


def _read_scores(results: Results) -> None:
    results.sets = _csv(results.folder / "table.csv")
    images = results.folder / "images.csv"
    header, *lines = _csv(images) or [[]]
    if not header:
        return
    if not {"set", "image"} <= set(header):
        raise InputError(f"'{images}' has no columns set and image: it is not the table of a medseg evaluation.")
    results.metrics = [name for name in header if name not in ("set", "image")]
    columns = _json(results.folder / METRIC_COLUMNS)
    if not isinstance(columns, Mapping):
        results.problems.append((METRIC_COLUMNS, "cannot be read, so no column is known as Dice: evaluate again."))
        columns = {}
    results.dice = [name for name in results.metrics if columns.get(name, {}).get("is_dice")]
    folder = results.folder / "pictures"
    for line in lines:
        row = dict(zip(header, line, strict=False))
        values = {name: finite(row.get(name)) for name in results.metrics}
        known = [value for name in results.dice if (value := values[name]) is not None]
        files = [picture_file(folder, row["image"], row["set"]), picture_file(folder, row["image"])]
        picture = next(filter(Path.is_file, files), None)
        overall = fmean(known) if known else None
        results.scores.append(Score(row["set"], case_name(row["image"]), values, overall, picture))
        results.volumes |= row["image"].lower().endswith(VOLUME_SUFFIXES)


def _csv(path: Path) -> list[list[str]]:
    """The lines of a table; none without a file."""
    if not path.is_file():
        return []
    with open(path, encoding="utf-8", newline="") as file:
        return [[plain_cell(cell) for cell in line] for line in csv.reader(file) if line]


def _read_pictures(results: Results) -> None:
    folder = results.folder / "pictures"
    cases = {record["case"] for record in results.records}
    known = {folder / SHEET_FILE, *(score.picture for score in results.scores)}
    for path in sorted(folder.glob("*.png")):
        other = path in known or path.name.startswith(".") or path.stem.endswith("_clusters")  # MS-Former's steps
        if path.stem in cases or not other:
            results.pictures[path.stem] = path
    alone = not results.pictures and not any(score.picture for score in results.scores)
    if alone and (folder / SHEET_FILE).is_file():
        results.sheet = folder / SHEET_FILE


def _read_problems(results: Results) -> None:
    path = results.folder / "problems.json"
    if not path.is_file():
        return
    listed = _json(path)
    if not isinstance(listed, list):
        raise InputError(f"'{path}' is not a list of problems: delete it, or run the inference again.")
    for entry in listed:
        one = entry if isinstance(entry, Mapping) else {"problem": entry}
        problem = _without_folders(str(one.get("problem", "")), [Path(str(one.get("source", ""))), path])
        results.problems.append((str(one.get("case", "")), problem))


def _without_folders(text: str, files: Sequence[Path]) -> str:
    """`text` with the names of files alone; a page that is passed on tells nobody where they lie."""
    folders = {parent for file in files for place in (file, file.absolute()) for parent in place.parents}
    for folder in sorted(map(str, folders), key=len, reverse=True):
        text = text.replace(f"{folder.rstrip('/')}/", "") if folder not in ("/", ".") else text
    return text


def _date(results: Results) -> datetime | None:
    """The end of the last case, or the time of the evaluation's table."""
    finished = max((str(record["provenance"].get("finished")) for record in results.records), default="")
    with suppress(ValueError):
        return datetime.fromisoformat(finished).astimezone(timezone.utc)
    images = results.folder / "images.csv"
    return datetime.fromtimestamp(images.stat().st_mtime, timezone.utc) if images.is_file() else None
