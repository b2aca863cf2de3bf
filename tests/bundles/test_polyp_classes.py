"""Masks of several classes: trained, evaluated, segmented and exported as binary ones are."""

import csv
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from running import BUNDLES, run_here
from skimage.draw import disk, rectangle

from medseg.bundle.export import export_bundle
from medseg.cli.main import main
from medseg.networks.checkpoints.read import read_facts
from medseg.results.pictures import LABEL_COLORS

POLYP = "ssformer_polyp_segmentation"
CLASSES = ["background", "polyp", "instrument"]
VALUES = [0, 100, 200]
UNCLEAR = 255
SMALL = {"encoder": "mit_b0", "decoder_channels": 16, "image_size": 64, "pretrained": "none", "device": "cpu"}


def three_classes(root: Path, count: int) -> Path:
    """Red disks are polyps, blue bars are instruments, and a corner of each mask does not count."""
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True)
    rng = np.random.default_rng(0)
    for case in range(count):
        image = rng.integers(60, 90, (72, 80, 3), np.uint8)
        mask = np.zeros((72, 80), np.uint8)
        rows, columns = disk((rng.integers(16, 56), rng.integers(16, 30)), 13)
        image[rows, columns], mask[rows, columns] = (220, 40, 40), VALUES[1]
        rows, columns = rectangle((rng.integers(0, 30), rng.integers(48, 60)), extent=(36, 14))
        image[rows, columns], mask[rows, columns] = (40, 40, 220), VALUES[2]
        mask[-6:, -6:] = UNCLEAR
        Image.fromarray(image).save(root / "images" / f"{case}.png")
        Image.fromarray(mask).save(root / "masks" / f"{case}.png")
    return root


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the data in `data` and the run in `run`."""
    root = tmp_path_factory.mktemp("classes")
    run_here(
        "training",
        POLYP,
        "train",
        dataset_dir=str(three_classes(root / "data", 16)),
        output_dir=str(root / "run"),
        classes=CLASSES,
        label_values=VALUES,
        ignore=UNCLEAR,
        epochs=20,
        batch_size=4,
        learning_rate=3e-3,
        warmup_epochs=1,
        ema_decay=0.8,
        val_interval=5,
        val_fraction=0.25,
        **SMALL,
    )
    return root


def test_the_weights_know_their_classes(trained: Path) -> None:
    facts = read_facts(trained / "run" / "models" / "model.pt")
    assert facts["classes"] == facts["trained_with"]["classes"] == CLASSES
    assert facts["trained_with"]["label_values"] == VALUES


def test_the_table_has_a_column_for_each_class(trained: Path) -> None:
    run_here(
        "evaluating",
        POLYP,
        "train",
        "evaluate",
        dataset_dir=str(trained / "data"),
        output_dir=str(trained / "run"),
        ignore=UNCLEAR,
        device="cpu",
    )
    (line,) = csv.DictReader((trained / "run" / "table.csv").read_text().splitlines())
    assert list(line) == ["set", "images", "Dice_polyp", "Dice_instrument", "IoU_polyp", "IoU_instrument"]
    assert float(line["Dice_polyp"]) > 0.8
    assert float(line["Dice_instrument"]) > 0.8
    with Image.open(trained / "run" / "pictures" / "data" / "0.png") as picture:
        colors = {color for _, color in picture.getcolors(10**6)}
    assert {LABEL_COLORS[0], LABEL_COLORS[1]} <= colors


def test_masks_have_the_values_of_the_training_masks(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = trained / "run" / "models" / "model.pt"
    out = tmp_path / "out"
    given = [str(trained / "data" / "images"), str(out), "--weights", str(weights), "--set", "device=cpu"]
    assert main(["run", POLYP, *given]) == 0
    for truth in sorted((trained / "data" / "masks").iterdir()):
        with Image.open(truth) as wanted, Image.open(out / truth.name) as mask:
            assert mask.mode == "L"
            assert mask.size == wanted.size
            counted = np.array(wanted) != UNCLEAR
            assert set(np.unique(mask)) == set(VALUES)
            assert np.mean((np.array(mask) == np.array(wanted))[counted]) > 0.9
    rows = list(csv.DictReader((out / "measurements.csv").read_text().splitlines()))
    assert [row["name"] for row in rows[:2]] == CLASSES[1:]
    given[1] = str(tmp_path / "other")
    assert main(["run", POLYP, *given, "--set", "save_probabilities=true"]) == 1
    assert "one gray picture" in capsys.readouterr().err
    assert main(["run", POLYP, *given, "--set", "label_names=[lesion, tool]"]) == 0
    rows = list(csv.DictReader((tmp_path / "other" / "measurements.csv").read_text().splitlines()))
    assert [row["name"] for row in rows[:2]] == ["lesion", "tool"]


def test_the_export_describes_its_classes(trained: Path, tmp_path: Path) -> None:
    target = tmp_path / f"{POLYP}.zip"
    export_bundle(BUNDLES / POLYP, target, trained / "run" / "models" / "model.pt", onnx=False)
    with zipfile.ZipFile(target) as archive:
        archive.extractall(tmp_path)
    metadata = json.loads((tmp_path / POLYP / "configs" / "metadata.json").read_text())
    pred = metadata["network_data_format"]["outputs"]["pred"]
    assert pred["num_channels"] == 3
    assert pred["channel_def"] == {"0": "background", "1": "polyp", "2": "instrument"}
    network = torch.jit.load(tmp_path / POLYP / "models" / "model.ts")
    assert network(torch.zeros(1, 3, 64, 64)).shape == (1, 3, 64, 64)
    assert main(["run", str(tmp_path / POLYP), str(trained / "data" / "images" / "0.png"), str(tmp_path / "out")]) == 0
    assert set(np.unique(Image.open(tmp_path / "out" / "0.png"))) == set(VALUES)
