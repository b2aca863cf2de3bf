"""`medseg compare` finds what was planted, and nothing where there is nothing."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from medseg.cli.main import main


def evaluation(folder: Path, dice: dict[str, float], set_name: str = "Kvasir") -> Path:
    folder.mkdir()
    columns = {"Dice@0.5": {"meaning": "", "is_dice": True}, "IoU@0.5": {"meaning": "", "is_dice": False}}
    (folder / "columns.json").write_text(json.dumps(columns))
    with open(folder / "images.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["set", "image", *columns])
        writer.writerows([set_name, f"/data/images/{name}.png", value, value / 2] for name, value in dice.items())
    return folder


@pytest.fixture
def values() -> dict[str, float]:
    drawn = np.random.default_rng(0).uniform(0.6, 0.95, 100)
    return {f"image{index:03}": float(value) for index, value in enumerate(drawn)}


def compare(tmp_path: Path, *arguments: object) -> dict:
    assert main(["compare", *map(str, arguments), "--json", str(tmp_path / "c.json")]) == 0
    return json.loads((tmp_path / "c.json").read_text())


def test_a_run_beside_itself(tmp_path: Path, values: dict[str, float], capsys: pytest.CaptureFixture[str]) -> None:
    run = evaluation(tmp_path / "a", values)
    found = compare(tmp_path, run, run)["sets"]["Kvasir"]
    difference = found["differences"][0]
    assert found["images"] == 100
    assert (difference["mean"], difference["low"], difference["high"], difference["p_holm"]) == (0, 0, 0, 1)
    assert (difference["wins"], difference["losses"]) == (0, 0)
    assert "p = 1.0000 (better on 0, worse on 0)" in capsys.readouterr().out


def test_a_planted_difference(tmp_path: Path, values: dict[str, float]) -> None:
    noise = np.random.default_rng(1).normal(0, 0.05, len(values))
    better = {name: value + 0.02 + float(error) for (name, value), error in zip(values.items(), noise, strict=True)}
    worse = {name: value - 0.1 for name, value in values.items()}
    runs = [evaluation(tmp_path / name, run) for name, run in (("a", values), ("b", better), ("c", worse))]
    found = compare(tmp_path, *runs)
    first, second = found["sets"]["Kvasir"]["differences"]
    assert first["low"] < 0.02 < first["high"]
    assert first["p"] < first["p_holm"] < 0.01
    assert second["mean"] == pytest.approx(-0.1)
    assert second["losses"] == 100
    gaps = {name: better[name] - values[name] for name in values}
    assert found["largest"][0][0]["image"] == min(gaps, key=gaps.__getitem__)
    assert found["largest"][0][-1]["image"] == max(gaps, key=gaps.__getitem__)


def test_only_shared_images_count(tmp_path: Path, values: dict[str, float]) -> None:
    fewer = dict(list(values.items())[10:])
    a, b = evaluation(tmp_path / "a", values), evaluation(tmp_path / "b", fewer)
    (tmp_path / "leaked.txt").write_text("image010\nimage011\n")
    found = compare(tmp_path, a, b, "--without", tmp_path / "leaked.txt", "--metric", "IoU@0.5")
    assert (found["shared"], found["only_in_some"]) == (88, 10)
    assert found["left_out"] == ["image010", "image011"]
    kept = [value / 2 for name, value in values.items() if name > "image011"]
    assert found["sets"]["Kvasir"]["means"][1]["mean"] == pytest.approx(np.mean(kept))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda tmp, a: [a], "needs two or more folders"),
        (lambda tmp, a: [a, tmp / "none"], "There is no folder"),
        (lambda tmp, a: [a, evaluation(tmp / "b", {"other": 0.5})], "share 0 images with a value of Dice@0.5"),
        (lambda tmp, a: [a, evaluation(tmp / "b", {"image000": 0.5})], "share 1 images"),
        (lambda tmp, a: [a, a, "--metric", "HD95"], "have the column HD95: choose one of Dice@0.5, IoU@0.5"),
        (lambda tmp, a: [a, a, "--without", tmp / "gone.txt"], "gone.txt"),
    ],
)
def test_what_cannot_be_compared(tmp_path, values, make, said, capsys) -> None:
    a = evaluation(tmp_path / "a", values)
    assert main(["compare", *map(str, make(tmp_path, a))]) == 1
    error = capsys.readouterr().err
    assert said in error
    assert len(error.splitlines()) == 1
