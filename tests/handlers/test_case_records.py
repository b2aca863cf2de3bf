"""Records of cases as an evaluator leaves them: masks written by SaveImaged, sources on disk."""

import csv
import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import nibabel
import numpy as np
import pytest
import torch
from monai.data import DataLoader, Dataset, MetaTensor
from monai.engines import SupervisedEvaluator
from monai.transforms import (
    AsDiscreted,
    Compose,
    EnsureChannelFirstd,
    Invertd,
    LoadImaged,
    Orientationd,
    SaveImaged,
    ScaleIntensityRanged,
)
from PIL import Image
from torch import nn

from medseg import results
from medseg.data import PictureReader, find_images, find_volumes
from medseg.errors import InputError
from medseg.files import case_name
from medseg.handlers import CaseRecords
from medseg.results import PictureWriter, VolumeWriter, provenance, write_measurement_tables
from medseg.results.report import write_report

ROOT = Path(__file__).parents[2]
POLYP, LUNG = (ROOT / "bundles" / f"ssformer_{name}_segmentation" for name in ("polyp", "lung_ct"))
SCHEMA = json.loads((Path(results.__file__).parent / "measurements.schema.json").read_text())
RECORD = {**SCHEMA["$defs"]["record"], "$defs": SCHEMA["$defs"]}


class FirstChannel(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[:, :1]


def run(data: Path, out: Path, batch_size: int = 1, **options: Any) -> None:
    """Segment what is above half of the range: pictures 0 to 255, volumes -1000 to 1000."""
    flat = any(path.suffix == ".png" for path in data.iterdir())
    low, high = (0, 255) if flat else (-1000, 1000)
    reader, channel = (PictureReader, -1) if flat else ("NibabelReader", "no_channel")
    preprocessing = Compose(
        [
            LoadImaged("image", reader=reader),
            EnsureChannelFirstd("image", channel_dim=channel),
            *([] if flat else [Orientationd("image", "RAS", labels=(("L", "R"), ("P", "A"), ("I", "S")))]),
            ScaleIntensityRanged("image", low, high, 0, 1),
        ]
    )
    saving = {"output_ext": ".png", "scale": 255} if flat else {"output_ext": ".nii.gz"}
    postprocessing = Compose(
        [
            Invertd("pred", orig_keys="image", transform=preprocessing, nearest_interp=True),
            AsDiscreted("pred", threshold=0.5),
            SaveImaged(
                "pred",
                writer=PictureWriter if flat else VolumeWriter,
                output_dir=out,
                output_postfix="",
                output_dtype=np.uint8,
                resample=False,
                separate_folder=False,
                print_log=False,
                **saving,
            ),
        ]
    )
    items = find_images(data) if flat else find_volumes(data)
    given = {"seed": 3, "device": "cpu", **options}
    SupervisedEvaluator(
        device=torch.device("cpu"),
        val_data_loader=DataLoader(Dataset(items, preprocessing), batch_size=batch_size),
        network=FirstChannel(),
        postprocessing=postprocessing,
        val_handlers=[CaseRecords(out, POLYP if flat else LUNG, **given)],
    ).run()


def record(out: Path, name: str) -> dict[str, Any]:
    found = json.loads((out / "records" / f"{name}.json").read_text())
    jsonschema.validate(found, RECORD, jsonschema.Draft202012Validator)
    return found


def table(path: Path) -> list[dict[str, str]]:
    with open(path, encoding="utf-8") as file:
        return list(csv.DictReader(file))


def pictures(folder: Path, *names: str) -> Path:
    folder.mkdir()
    for index, name in enumerate(names):
        colors = np.full((20, 31, 3), (40, 80, 120), np.uint8)
        colors[4:14, 5 + index : 25] = (200, 100, 50)
        Image.fromarray(colors).save(folder / f"{name}.png")
    return folder


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def test_pictures_in_a_batch(tmp_path: Path, out: Path) -> None:
    weights = tmp_path / "best.pt"
    weights.write_bytes(b"weights" * 300_000)
    run(pictures(tmp_path / "in", "a", "b.c", "Übel, x"), out, batch_size=2, weights=weights)
    for index, name in enumerate(("a", "b.c", "Übel, x")):
        found = record(out, name)
        assert (found["case"], found["source"]) == (name, str(tmp_path / "in" / f"{name}.png"))
        assert (found["outputs"], found["shape"], found["spacing_mm"]) == ({"mask": f"{name}.png"}, [20, 31], None)
        (measured,) = found["measurements"]
        assert (measured["label"], measured["name"], measured["components"]) == (1, "polyp", 1)
        assert measured["area_pixels"] == measured["voxels"] == 10 * (20 - index)
        assert measured["bounding_box"] == [[4, 14], [5 + index, 25]]
        assert (measured["area_mm2"], measured["largest_diameter_mm"], measured["volume_ml"]) == (None,) * 3
        # luminance of the color, as the picture was before it was rescaled
        assert measured["mean_intensity"] == pytest.approx(0.2125 * 200 + 0.7154 * 100 + 0.0721 * 50)
        assert measured["intensity_unit"] == "gray level"
        assert found["warnings"] == []
        origin = found["provenance"]
        assert (origin["weights"], origin["seed"], origin["device"]) == ("best.pt", 3, "cpu")
        assert origin["weights_sha256"] == hashlib.sha256(weights.read_bytes()).hexdigest()
        assert "pytest" in origin["command"]
    rows = table(out / "measurements.csv")
    assert [(row["case"], row["area_pixels"], row["volume_ml"]) for row in rows] == [
        ("a", "200", ""),
        ("b.c", "190", ""),
        ("Übel, x", "180", ""),
    ]
    assert {row["weights_sha256"] for row in rows} == {origin["weights_sha256"]}
    assert not (out / "slice_areas.csv").exists()


def test_volume_in_milliliters_and_hounsfield_units(tmp_path: Path, out: Path) -> None:
    (tmp_path / "in").mkdir()
    units = np.full((9, 8, 7), -800, np.int16)
    units[2:6, 3:5, 1:6] = 300
    units[2, 3, 1] = 400
    # axes of the file point down, to the left and to the back
    affine = np.array([[0, -2.0, 0, 30], [0, 0, -2.0, 5], [-5.0, 0, 0, 7], [0, 0, 0, 1]])
    nibabel.save(nibabel.Nifti1Image(units, affine), tmp_path / "in" / "chest.nii.gz")
    run(tmp_path / "in", out, weights=False)
    found = record(out, "chest")
    assert (found["shape"], found["spacing_mm"]) == ([9, 8, 7], [5, 2, 2])
    left, right = found["measurements"]
    assert (left["name"], left["volume_ml"], left["intensity_unit"]) == ("left lung", pytest.approx(40 * 0.02), "HU")
    assert left["mean_intensity"] == pytest.approx(302.5)
    assert left["slice_axis"] == 0
    assert left["slice_areas_mm2"] == pytest.approx([0, 0, *[40] * 4, 0, 0, 0])
    assert left["bounding_box"] == [[2, 6], [3, 5], [1, 6]]
    assert (right["voxels"], right["volume_ml"], right["bounding_box"], right["mean_intensity"]) == (0, 0, None, None)
    assert (found["provenance"]["weights"], found["provenance"]["weights_sha256"]) == (None, None)
    merged = json.loads((out / "measurements.json").read_text())
    jsonschema.validate(merged, SCHEMA, jsonschema.Draft202012Validator)
    assert merged["records"] == [found]
    rows = table(out / "slice_areas.csv")
    assert [(row["name"], row["slice"], row["area_mm2"]) for row in rows] == [
        ("left lung", str(index), "40") for index in range(2, 6)
    ]


def test_what_is_not_plausible_is_told(tmp_path: Path, out: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "in").mkdir()
    lung = np.full((9, 8, 7), -1000, np.int16)
    lung[2:7, 2:7, 2:6] = 700
    spine = np.full((9, 8, 7), -5, np.int16)
    spine[2:7, 2:7, 2:6] = 1200
    for name, values, side in (("good", lung, 25), ("large", lung, 45.79), ("mr", spine, 25)):
        image = nibabel.Nifti1Image(values, np.diag([side, side, side, 1]))
        nibabel.save(image, tmp_path / "in" / f"{name}.nii.gz")
    run(tmp_path / "in", out)
    report = write_report(out).read_text()
    wanted = {
        "good": ["The volume of right lung is 0 ml, plausible are 200 to 5000 ml"],
        "large": [
            "The volume of left lung is 9601 ml, plausible are 200 to 5000 ml",
            "The volume of right lung is 0 ml",
        ],
        "mr": [
            "The lowest value of the source is -5, plausible are -4096 to -300 HU",
            "The volume of right lung is 0 ml",
        ],
    }
    for name, starts in wanted.items():
        warnings = record(out, name)["warnings"]
        assert [text.startswith(start) for text, start in zip(warnings, starts, strict=True)] == [True] * len(starts)
        for text in warnings:
            assert f"{name}: {text}" in caplog.text
            assert text in report


def test_earlier_records_stay_in_the_tables(tmp_path: Path, out: Path) -> None:
    run(pictures(tmp_path / "first", "b"), out)
    run(pictures(tmp_path / "second", "c", "a"), out, seed=8)
    merged = json.loads((out / "measurements.json").read_text())
    jsonschema.validate(merged, SCHEMA, jsonschema.Draft202012Validator)
    assert [(row["case"], row["seed"]) for row in table(out / "measurements.csv")] == [
        ("a", "8"),
        ("b", "3"),
        ("c", "8"),
    ]
    assert [entry["provenance"]["seed"] for entry in merged["records"]] == [8, 3, 8]


def test_weights_that_change_before_they_are_loaded_end_the_run(tmp_path: Path, out: Path) -> None:
    weights = tmp_path / "best.pt"
    weights.write_bytes(b"other")
    out.mkdir()
    (out / "settings.json").write_text(json.dumps({"weights_sha256": hashlib.sha256(b"mine").hexdigest()}))
    with pytest.raises(InputError, match=r"best\.pt' has changed since the run started"):
        run(pictures(tmp_path / "in", "a"), out, weights=weights)
    assert not (out / "records").exists()


def test_records_without_measurements(tmp_path: Path, out: Path) -> None:
    run(pictures(tmp_path / "in", "a"), out, measurements=False)
    assert record(out, "a")["measurements"] == []
    assert sorted(path.name for path in out.iterdir()) == ["a.png", "records"]


@pytest.mark.slow
def test_a_run_that_is_killed_while_it_writes_leaves_no_half_record(tmp_path: Path, out: Path) -> None:
    pictures(tmp_path / "in", "a", "b")
    script = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from medseg.handlers import case_records\n"
        "from test_case_records import run\n"
        "written = []\n"
        "class Deadly(type(Path())):\n"
        "    def write_text(self, text, **options):\n"
        "        if written:\n"
        "            super().write_text(text[: len(text) // 2], **options)\n"
        "            os.kill(os.getpid(), signal.SIGKILL)\n"
        "        written.append(self)\n"
        "        return super().write_text(text, **options)\n"
        "case_records.Path = Deadly\n"
        "run(Path(sys.argv[1]), Path(sys.argv[2]))\n"
    )
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{Path(__file__).parent}", "OMP_NUM_THREADS": "1"}
    ended = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "in"), str(out)],
        env=environment,
        capture_output=True,
        timeout=3600,
        check=False,
    )
    assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()
    assert (out / "b.png").is_file()
    assert [path.name for path in (out / "records").glob("*.json")] == ["a.json"]
    assert [found["case"] for found in write_measurement_tables(out)] == ["a"]
    run(tmp_path / "in", out)
    assert [row["case"] for row in table(out / "measurements.csv")] == ["a", "b"]


def test_what_is_no_record_is_named(tmp_path: Path) -> None:
    assert write_measurement_tables(tmp_path) == []
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "records").mkdir()
    for text in ('{"schema": ', "[]", "{}"):
        (tmp_path / "records" / "x.json").write_text(text)
        with pytest.raises(InputError, match=r"x\.json is not a record"):
            write_measurement_tables(tmp_path)
    (tmp_path / "records" / "x.json").write_text('{"schema": "medseg-record-9"}')
    with pytest.raises(InputError, match="has the format medseg-record-9"):
        write_measurement_tables(tmp_path)


@pytest.mark.parametrize(
    ("mask", "error", "message"),
    [
        (True, InputError, r"has the shape \(10, 15\), its source \(20, 31, 3\)"),
        (False, RuntimeError, "There is no mask of a in"),
    ],
)
def test_a_case_that_cannot_be_recorded(
    mask: bool, error: type[Exception], message: str, tmp_path: Path, out: Path
) -> None:
    items = find_images(pictures(tmp_path / "in", "a"))
    loading = Compose([LoadImaged("image", reader=PictureReader), EnsureChannelFirstd("image", channel_dim=-1)])
    out.mkdir()
    if mask:
        Image.new("L", (15, 10)).save(out / "a.png")
    evaluator = SupervisedEvaluator(
        device=torch.device("cpu"),
        val_data_loader=DataLoader(Dataset(items, loading), batch_size=1),
        network=nn.AvgPool2d(2),
        val_handlers=[CaseRecords(out, POLYP)],
    )
    with pytest.raises(error, match=message):
        evaluator.run()
    assert not (out / "records").exists()


def test_commands_hold_no_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["/usr/bin/python3", "-m", "x", "--uri", "https://me:secret@host/a b", "--to=s3://key@bucket"]
    monkeypatch.setattr(sys, "orig_argv", words)
    assert provenance.command_line() == "python3 -m x --uri 'https://***@host/a b' --to=s3://***@bucket"


@pytest.mark.parametrize(
    ("source", "name"),
    [("in/a.nii.gz", "a"), ("in/a.b.nii", "a.b"), ("a.b.png", "a.b"), ("/x/chest", "chest"), ("in/.h.png", ".h")],
)
def test_names_are_those_of_saved_files(source: str, name: str, tmp_path: Path) -> None:
    assert case_name(source) == name
    save = SaveImaged(
        "pred", output_dir=tmp_path, output_postfix="", output_ext=".nii.gz", separate_folder=False, print_log=False
    )
    save({"pred": MetaTensor(torch.zeros(1, 2, 3, 4), meta={"filename_or_obj": source})})
    assert [path.name for path in tmp_path.iterdir()] == [f"{name}.nii.gz"]
