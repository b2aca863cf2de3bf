"""A known answer is a known number in the tables of every bundle, whatever the order of the axes."""

import csv
import hashlib
import json
from pathlib import Path
from typing import Any

import jsonschema
import nibabel
import numpy as np
import pytest
import torch
from known_answer import BrightIsForeground
from nibabel.orientations import axcodes2ornt, io_orientation, ornt_transform
from PIL import Image
from running import BUNDLES, run_here

from medseg.phantoms import lung_phantom, write_phantoms
from medseg.results import tables as measurement_tables

SCHEMA = json.loads((Path(measurement_tables.__file__).parent / "measurements.schema.json").read_text())
FAST: dict[str, Any] = {"image_size": 33, "max_steps": 1}


def results(out: Path) -> tuple[list[dict[str, str]], dict[str, Any]]:
    """Both tables of a run; the JSON one keeps to its published schema."""
    with open(out / "measurements.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    merged = json.loads((out / "measurements.json").read_text())
    jsonschema.validate(merged, SCHEMA, jsonschema.Draft202012Validator)
    for record in merged["records"]:
        assert json.loads((out / "records" / f"{record['case']}.json").read_text()) == record
        assert all((out / path).is_file() for path in record["outputs"].values())
    return rows, merged


def test_volumes_in_milliliters_whatever_the_order_of_the_axes(tmp_path: Path) -> None:
    units = np.full((48, 44, 14), 400, np.int16)
    units[6:16, 10:22, 3:8] = -800  # left: the first axis runs to the right
    units[30:39, 10:30, 2:12] = -860
    volume = nibabel.Nifti1Image(units, np.array([[2.0, 0, 0, -40], [0, 2.0, 0, 9], [0, 0, 5.0, -3], [0, 0, 0, 1]]))
    (tmp_path / "in").mkdir()
    orders = ("RAS", "LPS", "PIR", "SLA")
    for codes in orders:
        turned = volume.as_reoriented(ornt_transform(io_orientation(volume.affine), axcodes2ornt(tuple(codes))))
        nibabel.save(turned, tmp_path / "in" / f"{codes}.nii.gz")
    torch.save({"gain": torch.tensor(20.0)}, tmp_path / "model.pt")
    run_here(
        "inferring",
        "ssformer_lung_ct_segmentation",
        "inference",
        dataset_dir=str(tmp_path / "in"),
        output_dir=str(tmp_path / "out"),
        ckpt_dir=str(tmp_path),
        network_def={"_target_": "known_lungs.DarkIsLung"},
        spacing=[2.0, 2.0, 5.0],
        image_size=48,
    )
    rows, merged = results(tmp_path / "out")
    assert [(row["case"], row["name"]) for row in rows] == [
        (codes, f"{side} lung") for codes in sorted(orders) for side in ("left", "right")
    ]
    for row in rows:
        left = row["name"] == "left lung"
        assert float(row["volume_ml"]) == pytest.approx(0.02 * (10 * 12 * 5 if left else 9 * 20 * 10))
        assert float(row["largest_slice_area_mm2"]) == (480 if left else 720)
        assert float(row["mean_intensity"]) == (-800 if left else -860)
        assert (row["components"], row["intensity_unit"]) == ("1", "HU")
        assert row["slice_axis"] == str([letter in "IS" for letter in row["case"]].index(True))
        assert row["weights_sha256"] == hashlib.sha256((tmp_path / "model.pt").read_bytes()).hexdigest()
        for key in ("surface_mm2", "largest_diameter_mm"):
            assert row[key] == rows[0 if left else 1][key]
    straight = next(record for record in merged["records"] if record["case"] == "RAS")
    assert straight["measurements"][0]["bounding_box"] == [[6, 16], [10, 22], [3, 8]]


def test_pictures_in_pixels(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    gray = np.full((96, 160), 30, np.uint8)
    gray[16:48, 40:120] = 230
    Image.fromarray(gray).save(tmp_path / "in" / "gray.tif")
    torch.save(BrightIsForeground().state_dict(), tmp_path / "model.pt")
    run_here(
        "inferring",
        "ssformer_polyp_segmentation",
        *("inference", "inference_fullres"),
        dataset_dir=str(tmp_path / "in"),
        output_dir=str(tmp_path / "out"),
        ckpt_dir=str(tmp_path),
        network_def={"_target_": "known_answer.BrightIsForeground"},
    )
    (row,), merged = results(tmp_path / "out")
    assert (row["case"], row["name"], row["intensity_unit"]) == ("gray", "polyp", "gray level")
    assert int(row["area_pixels"]) == pytest.approx(32 * 80, rel=0.02)
    assert float(row["mean_intensity"]) == pytest.approx(230, abs=3)
    assert (row["area_mm2"], row["spacing_mm"], merged["records"][0]["spacing_mm"]) == ("", "", None)


@pytest.mark.parametrize(("bundle", "kind"), [("skin_lesion", "lesion"), ("lung_ct", "lung")])
def test_fits_have_a_seed_and_no_weights(bundle: str, kind: str, tmp_path: Path) -> None:
    data = write_phantoms(kind, tmp_path / "data", 2, 0, size=(70, 94))
    name = f"msformer_{bundle}_segmentation"
    places = {"dataset_dir": str(data), "output_dir": str(tmp_path / "out")}
    run_here("inferring", name, "inference", seed=5, **places, **FAST)
    rows, merged = results(tmp_path / "out")
    assert len(rows) == 2
    metadata = json.loads((BUNDLES / name / "configs" / "metadata.json").read_text())
    origin = merged["provenance"]
    assert (origin["bundle"], origin["bundle_version"]) == (metadata["name"], metadata["version"])
    assert (origin["weights"], origin["weights_sha256"], origin["seed"]) == (None, None, 5)
    for row in rows:
        mask = np.asarray(Image.open(tmp_path / "out" / f"{row['case']}.png"))
        assert int(row["area_pixels"]) == (mask > 0).sum()


def test_volumes_of_fits_with_and_without_measurements(tmp_path: Path) -> None:
    source = tmp_path / "chest.nii.gz"
    slices = [lung_phantom(index, (66, 70), 0)[0][..., 0] / 255 * 2000 - 1000 for index in range(2)]
    affine = np.array([[0, -3.0, 0, 9], [3.0, 0, 0, -5], [0, 0, 5.0, 7], [0, 0, 0, 1]])
    nibabel.save(nibabel.Nifti1Image(np.stack(slices, axis=2).astype(np.int16), affine), source)
    for switch in (True, False):
        out = tmp_path / str(switch)
        places = {"dataset_dir": str(source), "output_dir": str(out)}
        configs = ("msformer_lung_ct_segmentation", "inference", "inference_volumes")
        run_here("inferring", *configs, measurements=switch, **places, **FAST)
        assert (out / "records" / "chest.json").is_file()
        assert (out / "measurements.csv").is_file() is switch
    ((row,), _) = results(tmp_path / "True")
    mask = np.asarray(nibabel.load(tmp_path / "True" / "chest.nii.gz").dataobj)
    assert float(row["volume_ml"]) == pytest.approx((mask > 0).sum() * 45 / 1000, rel=1e-5)
    assert (row["slice_axis"], row["intensity_unit"], row["weights"]) == ("2", "HU", "")
