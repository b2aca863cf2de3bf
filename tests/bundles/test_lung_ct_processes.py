"""Two processes train on volumes, and evaluate as one does."""

import csv
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from running import command, environment

from medseg.phantoms import write_phantoms

pytestmark = pytest.mark.slow

BUNDLE = "ssformer_lung_ct_segmentation"
SMALL = ("train", "variants/smoke")
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]


def test_two_processes_train_and_evaluate_as_one(tmp_path: Path) -> None:
    data = write_phantoms("lung_volume", tmp_path / "data", 7, 3, (40, 36, 12))
    stems = sorted(path.name.partition(".")[0] for path in (data / "images").iterdir())
    (data / "odd.txt").write_text("\n".join(stems[:5]))
    folders = {"output_dir": tmp_path / "train", "ckpt_dir": tmp_path, "dataset_dir": data}
    calls = {"training": [*TORCHRUN, "-m", *command("training", BUNDLE, *SMALL, "multi_gpu_train", **folders)]}
    tests = {"test_sets": {"odd": [str(data), "odd.txt"]}}
    one = command("evaluating", BUNDLE, *SMALL, "evaluate", **folders | tests | {"output_dir": tmp_path / "one"})
    two = command(
        "evaluating",
        BUNDLE,
        *SMALL,
        "evaluate",
        "multi_gpu_evaluate",
        **folders | tests | {"output_dir": tmp_path / "two"},
    )
    calls |= {"one": [sys.executable, "-m", *one], "two": [*TORCHRUN, "-m", *two]}
    for name, arguments in calls.items():
        result = subprocess.run(arguments, env=environment(), capture_output=True, text=True, timeout=3600, check=False)
        assert result.returncode == 0, f"{name}: {result.stderr[-9000:]}"
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True)["trainer"]["iteration"] > 0
    tables = []
    for name in ("one", "two"):
        with open(tmp_path / name / "images.csv") as file:
            tables.append(list(csv.DictReader(file)))
    assert len(tables[0]) == 5
    for a, b in zip(*tables, strict=True):
        assert (a["set"], a["image"]) == (b["set"], b["image"])
        figures = [[float(row[key]) for key in row if key not in ("set", "image")] for row in (a, b)]
        assert figures[0] == pytest.approx(figures[1], abs=1e-5, nan_ok=True)
