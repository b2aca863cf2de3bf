"""The tables of an output folder, made of the records of its cases."""

import csv
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from medseg.errors import InputError
from medseg.files import atomic_write
from medseg.results.segment_measurement import MEASURES

RECORDS = "records"
"""Folder of the records in an output folder."""
RECORD_SCHEMA = "medseg-record-1"
"""The format that a record names."""
METRIC_COLUMNS = "columns.json"
"""File of an evaluation: heading in `table.csv` and `images.csv` -> fields of a `medseg.metrics.MetricColumn`."""
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
_NUMBER = re.compile(r"[+-]?\d+(\.\d*)?(e[+-]?\d+)?", re.IGNORECASE)
_MEASUREMENTS_SCHEMA = "medseg-measurements-1"


def write_measurement_tables(output_dir: str | Path) -> list[dict[str, Any]]:
    """Make measurements.csv, measurements.json and slice_areas.csv of all records in `output_dir/records`.

    Each file appears whole or not at all. `measurements.csv` has a line per case and label, `slice_areas.csv` one per
    case, label and slice in which the label occurs; it is written when there are volumes. `provenance` in
    `measurements.json` is that of the record finished last; every record has its own.

    Args:
        output_dir: the output folder of inference runs.

    Returns:
        the records, by case; nothing is written if there are none.

    Raises:
        InputError: if a file in the folder of the records is no record.
    """
    folder = Path(output_dir)
    records = read_records(folder)
    if not records:
        return records
    newest = max(records, key=lambda record: record["provenance"]["finished"])
    merged = {"schema": _MEASUREMENTS_SCHEMA, "provenance": newest["provenance"], "records": records}
    with atomic_write(folder / "measurements.json") as path:
        path.write_text(json.dumps(merged, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    _write_rows(folder / "measurements.csv", [row for record in records for row in _rows(record)])
    slices = [row for record in records for row in _slice_rows(record)]
    if slices:
        _write_rows(folder / "slice_areas.csv", slices)
    return records


def read_records(output_dir: str | Path) -> list[dict[str, Any]]:
    """The records of an output folder, ordered by file name; none if it has none.

    Raises:
        InputError: if a file in the folder of the records is no record.
    """
    records = []
    for path in sorted((Path(output_dir) / RECORDS).glob("*.json")):
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            known = record["schema"] == RECORD_SCHEMA
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{path} is not a record ({error}): delete it and segment that case again.") from error
        if not known:
            raise InputError(f"{path} has the format {record['schema']}, not {RECORD_SCHEMA}: segment that case again.")
        records.append(record)
    return records


def _rows(record: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for found in record["measurements"]:
        sizes = {
            measure.column or name: None if (value := found.get(name)) is None else measure.cell(value)
            for name, measure in MEASURES.items()
        }
        yield {
            "case": record["case"],
            **sizes,
            "spacing_mm": " ".join(f"{side:.6g}" for side in record["spacing_mm"] or ()),
            "source": record["source"],
            "seconds": record["seconds"],
            **record["provenance"],
        }


def _slice_rows(record: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for found in record["measurements"]:
        segment = {"case": record["case"], "label": found["label"], "name": found["name"]}
        for index, area in enumerate(found["slice_areas_mm2"] or ()):
            if area > 0:
                yield {**segment, "slice_axis": found["slice_axis"], "slice": index, "area_mm2": area}


def write_csv(target: Path, header: Sequence[str], rows: Iterable[Sequence[Any]], number: str = ".6g") -> None:
    """Write a table that appears whole or not at all.

    Text that a spreadsheet would run as a formula (it begins with `=`, `+`, `-`, `@`, tab or carriage return) gets an
    apostrophe in front, which `plain_cell` takes away.

    Args:
        target: the file.
        header: its first line.
        rows: a cell per column; None becomes an empty one.
        number: format of floating-point numbers.
    """
    with atomic_write(target) as path, open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerows([[_cell(cell, number) for cell in row] for row in (header, *rows)])


def plain_cell(text: str) -> str:
    """The text of a cell of `write_csv`."""
    return text[1:] if text[:1] == "'" and text[1:2] in _FORMULA_STARTS else text


def _cell(cell: Any, number: str) -> Any:
    if isinstance(cell, float):
        return f"{cell:{number}}"
    return f"'{cell}" if isinstance(cell, str) and cell[:1] in _FORMULA_STARTS and not _NUMBER.fullmatch(cell) else cell


def _write_rows(target: Path, rows: list[dict[str, Any]]) -> None:
    columns = list(dict.fromkeys(column for row in rows for column in row))
    write_csv(target, columns, [[row.get(column) for column in columns] for row in rows])
