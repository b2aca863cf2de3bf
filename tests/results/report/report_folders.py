"""Results folders for the tests of the report, in the formats that runs write."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from medseg.results.pictures import picture_file

PROVENANCE = {
    "bundle": "a_bundle",
    "bundle_version": "0.1.0",
    "medseg_version": "0.1.0",
    "monai_version": "1.6.1",
    "torch_version": "2.13.0",
    "weights": "model.pt",
    "weights_sha256": "ab" * 32,
    "command": "python -m monai.bundle run inferring --config_file 'a.yaml' --names \"<b>&\"",
    "seed": 0,
    "device": "cpu",
    "finished": "2026-03-04T05:06:07+00:00",
}


def record(case: str, volumes: dict[str, float | None], **provenance: Any) -> dict[str, Any]:
    measured = [
        {
            "label": label,
            "name": name,
            "voxels": None if volume is None else int(volume * 1000),
            "volume_ml": volume,
            "area_mm2": None,
            "area_pixels": None,
            "surface_mm2": None,
            "largest_diameter_mm": 12.25,
            "bounding_box": [[0, 2], [1, 3], [0, 1]],
            "components": 1,
            "mean_intensity": -800.5,
            "intensity_unit": "HU",
            "slice_areas_mm2": [1.0],
            "slice_axis": 2,
        }
        for label, (name, volume) in enumerate(volumes.items(), start=1)
    ]
    return {
        "schema": "medseg-record-1",
        "case": case,
        "source": f"in/{case}.nii.gz",
        "outputs": {"mask": f"{case}.nii.gz"},
        "shape": [4, 5, 6],
        "spacing_mm": [1.0, 1.0, 3.0],
        "seconds": 1.5,
        "measurements": measured,
        "provenance": PROVENANCE | provenance,
    }


def write_records(folder: Path, *records: dict[str, Any]) -> None:
    (folder / "records").mkdir(parents=True, exist_ok=True)
    for number, one in enumerate(records):
        (folder / "records" / f"{one['case']}.json").write_text(json.dumps(one), encoding="utf-8")
        write_picture(folder / "pictures" / f"{one['case']}.png", number)


def write_picture(path: Path, seed: int, size: tuple[int, int] = (40, 60)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (*size, 3), dtype=np.uint8)).save(path)


def write_scores(folder: Path, header: list[str], lines: list[list[str]], dice: tuple[str, ...] = ()) -> None:
    """Tables of an evaluation, whose Dice columns are `dice` or, without any, those that begin with the word."""
    dice = dice or tuple(name for name in header if name.startswith("Dice"))
    columns = {name: {"meaning": f"{name} of a test", "is_dice": name in dice} for name in header}
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "images.csv", "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["set", "image", *header], *lines])
    (folder / "columns.json").write_text(json.dumps(columns), encoding="utf-8")
    for number, (set_name, image, *_values) in enumerate(lines):
        write_picture(picture_file(folder / "pictures", image, set_name), number)
