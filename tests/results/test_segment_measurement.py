"""A measurement is declared once: the JSON schema, the tables and the docs agree with that declaration."""

import csv
import json
import types
import typing
from dataclasses import asdict
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from medseg.results import SegmentMeasurement, tables
from medseg.results.segment_measurement import MEASURES

REPO = Path(__file__).parents[2]
SCHEMA = json.loads((Path(tables.__file__).parent / "measurements.schema.json").read_text(encoding="utf-8"))
UNITS = {"ml": "ml", "mm": "mm", "mm2": "mm²", "pixels": "pixels"}
WORDS = {"ml": "milliliters", "mm": "millimeters", "mm2": "square millimeters"}
JSON_TYPES = {int: "integer", float: "number", str: "string", tuple: "array", types.NoneType: "null"}
# every value is another one
VOLUME = SegmentMeasurement(
    label=2,
    name="right lung",
    voxels=31_415_926,
    volume_ml=1234.56789,
    area_mm2=None,
    area_pixels=None,
    surface_mm2=98765.4321,
    largest_diameter_mm=271.828182,
    largest_diameter_pixels=None,
    components=3,
    mean_intensity=-812.3456789,
    intensity_unit="HU",
    slice_axis=1,
    slice_areas_mm2=(0.0, 51.5, 77.25, 0.0),
    bounding_box=((1, 4), (1, 3), (5, 9)),
)
ORIGIN = {"bundle": "a", "command": "c, d", "seed": 0, "finished": "2026-03-04T05:06:07+00:00"}


def types_of(annotation: Any) -> set[str]:
    options = typing.get_args(annotation) if isinstance(annotation, types.UnionType) else (annotation,)
    return {JSON_TYPES[typing.get_origin(option) or option] for option in options}


def record(*measured: SegmentMeasurement) -> dict[str, Any]:
    return {
        "schema": tables.RECORD_SCHEMA,
        "case": "a",
        "source": "in/a.nii.gz",
        "spacing_mm": [0.5, 0.75, 2.0],
        "seconds": 1.25,
        "measurements": [asdict(one) for one in measured],
        "provenance": ORIGIN,
    }


def write(folder: Path, *measured: SegmentMeasurement) -> tuple[list[dict[str, str]], list[dict[str, Any]]]:
    """The lines of measurements.csv and the measurements of measurements.json."""
    (folder / "records").mkdir()
    (folder / "records" / "a.json").write_text(json.dumps(record(*measured)), encoding="utf-8")
    tables.write_measurement_tables(folder)
    with open(folder / "measurements.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    (merged,) = json.loads((folder / "measurements.json").read_text(encoding="utf-8"))["records"]
    return rows, merged["measurements"]


def test_the_schema_has_the_fields() -> None:
    schema = SCHEMA["$defs"]["measurement"]
    assert set(schema["properties"]) == set(schema["required"]) == set(MEASURES)
    hints = typing.get_type_hints(SegmentMeasurement)
    for name, found in schema["properties"].items():
        assert found["description"] == MEASURES[name].meaning, name
        if "enum" in found:
            assert {type(value) for value in found["enum"]} == {hints[name]}
        else:
            assert (
                {found["type"]} == types_of(hints[name])
                if isinstance(found["type"], str)
                else (set(found["type"]) == types_of(hints[name]))
            ), name
    valid = {**schema, "$defs": SCHEMA["$defs"]}
    jsonschema.validate(json.loads(json.dumps(asdict(VOLUME))), valid, jsonschema.Draft202012Validator)


@pytest.mark.parametrize("name", [name for name in MEASURES if name.rpartition("_")[2] in UNITS])
def test_units_are_those_of_the_names(name: str) -> None:
    unit, measure = name.rpartition("_")[2], MEASURES[name]
    assert measure.unit in (("", UNITS[unit]) if not measure.heading else (UNITS[unit],))
    said = {word for word in WORDS.values() if measure.meaning.startswith(word)}
    assert said <= {WORDS.get(unit)}
    assert not measure.column or measure.column.endswith(f"_{unit}")


def test_both_tables_hold_the_same_values(tmp_path: Path) -> None:
    (row,), (found,) = write(tmp_path, VOLUME)
    assert found == json.loads(json.dumps(asdict(VOLUME)))
    for name, measure in MEASURES.items():
        text = row[measure.column or name]
        if name == "slice_areas_mm2":
            assert float(text) == 77.25
        elif name == "bounding_box":
            assert text == "1:4 1:3 5:9"
        elif isinstance(found[name], float):
            assert float(text) == pytest.approx(found[name], rel=1e-5)
        else:
            assert text == ("" if found[name] is None else str(found[name]))
    assert (row["case"], row["spacing_mm"], row["source"], row["seconds"]) == ("a", "0.5 0.75 2", "in/a.nii.gz", "1.25")
    assert {key: row[key] for key in ORIGIN} == {key: str(value) for key, value in ORIGIN.items()}


def test_columns_of_the_table_and_of_the_docs(tmp_path: Path) -> None:
    (row,), _ = write(tmp_path, VOLUME)
    assert list(row)[: len(MEASURES) + 4] == [
        *("case", "label", "name", "voxels", "volume_ml", "area_mm2", "area_pixels", "surface_mm2"),
        *("largest_diameter_mm", "largest_diameter_pixels", "components", "mean_intensity", "intensity_unit"),
        *("slice_axis", "largest_slice_area_mm2", "bounding_box", "spacing_mm", "source", "seconds"),
    ]
    text = (REPO / "docs" / "measurements.md").read_text(encoding="utf-8")
    assert [name for name in list(row)[3:] if f"`{name}`" not in text] == []


def test_a_record_without_a_newer_measurement_has_an_empty_cell(tmp_path: Path) -> None:
    (tmp_path / "records").mkdir()
    old = record(VOLUME)
    del old["measurements"][0]["surface_mm2"]
    (tmp_path / "records" / "a.json").write_text(json.dumps(old), encoding="utf-8")
    tables.write_measurement_tables(tmp_path)
    with open(tmp_path / "measurements.csv", encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["surface_mm2"], row["components"]) == ("", "3")
