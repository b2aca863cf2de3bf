"""`python -m medseg run`: what a user's folder may hold, what a second run does, and every way to give it wrong."""

import functools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch
import yaml
from known_answer import BrightIsForeground
from known_lungs import DarkIsLung
from PIL import Image
from running import BUNDLES, environment

from medseg.cli.main import main

POLYP, LUNG, MS_LUNG = ("ssformer_polyp_segmentation", "ssformer_lung_ct_segmentation", "msformer_lung_ct_segmentation")
NAMES = ["a b.png", "Käse 食.png", "c.png", "d.png", "e.png", "f.png"]


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    torch.save(BrightIsForeground().state_dict(), tmp_path / "weights.pt")
    return tmp_path / "weights.pt"


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "in put"
    folder.mkdir()
    for index, name in enumerate(NAMES):
        picture(index).save(folder / name)
    (folder / ".hidden.png").write_bytes(b"no picture")
    (folder / "notes.txt").write_text("no picture either")
    return folder


def picture(index: int) -> Image.Image:
    gray = np.full((40 + index, 64), 30, np.uint8)
    gray[5 : 20 + index, 8:30] = 220
    return Image.fromarray(gray).convert("RGB")


def arguments(source: Path, output: Path, weights: Path, network: str = "BrightIsForeground") -> list[str]:
    chosen = f"network_def={{_target_: known_answer.{network}}}"
    given = ["run", POLYP, str(source), str(output), "--weights", str(weights), "--device", "cpu"]
    return [*given, "--set", chosen, "--set", "image_size=32"]


def masks(folder: Path) -> dict[str, np.ndarray]:
    return {path.name: np.asarray(Image.open(path)) for path in folder.glob("*.png")}


def times(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("*.png")}


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def program(given: list[str]) -> subprocess.Popen[str]:
    paths = os.pathsep.join([str(BUNDLES.parent), str(Path(__file__).parent)])
    return subprocess.Popen(
        [sys.executable, "-m", "medseg", *given],
        env={**environment(), "PYTHONPATH": paths},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # a shell lets what it starts in the background ignore Ctrl-C, and that is inherited
        preexec_fn=functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )


def stop_after(running: subprocess.Popen[str], records: Path, count: int, with_signal: signal.Signals) -> str:
    """Send a signal when so many cases are done; what the program wrote to the standard error."""
    while len(list(records.glob("*.json"))) < count:
        assert running.poll() is None, running.communicate()
        time.sleep(0.02)
    running.send_signal(with_signal)
    return running.communicate(timeout=3600)[1]


def test_a_folder_then_again(
    pictures: Path, weights: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture
) -> None:
    out = tmp_path / "out"
    assert main(arguments(pictures, out, weights)) == 0
    assert f"results: {out}" in capsys.readouterr().out
    found = masks(out)
    assert sorted(found) == sorted(NAMES)
    for index, name in enumerate(NAMES):
        truth = np.asarray(picture(index))[..., 0] > 100
        assert ((found[name] > 0) & truth).sum() / ((found[name] > 0) | truth).sum() > 0.85
    assert (out / "measurements.csv").is_file()
    before = times(out)

    (out / "measurements.csv").unlink()  # as if the run had been killed before its end
    assert main(arguments(pictures, out, weights)) == 0
    assert "nothing to do: 6 cases are done" in caplog.messages
    assert times(out) == before
    assert (out / "measurements.csv").is_file()

    picture(9).save(pictures / "new.png")
    picture(8).save(pictures / "c.png")
    os.utime(pictures / "c.png", (time.time() + 5, time.time() + 5))
    (out / "d.png").unlink()
    (out / "records" / "e.json").write_text("{torn")
    caplog.clear()
    assert main(arguments(pictures, out, weights)) == 0
    assert "3 of 7 cases are done already, 4 to do" in caplog.messages
    after = times(out)
    assert {name for name in after if after[name] != before.get(name)} == {"new.png", "c.png", "d.png", "e.png"}


def test_other_weights_or_settings_do_not_mix(
    pictures: Path, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    out = tmp_path / "out"
    given = arguments(pictures, out, weights)
    assert main(given) == 0
    before = times(out)
    other = tmp_path / "other.pt"
    torch.save({"gain": torch.tensor(10.0)}, other)
    for changed, message in (
        ([*given, "--weights", str(other)], "holds results of other weights than"),
        ([*given, "--set", "image_size=64"], "another inferer (inferer.roi_size.0: 32, not 64)"),
    ):
        capsys.readouterr()
        assert main(changed) == 1
        error = capsys.readouterr().err
        assert message in error
        assert "pass --overwrite" in error
        assert times(out) == before

    # the records alone say it too
    (out / "settings.json").unlink()
    assert main([*given, "--weights", str(other)]) == 1
    assert "holds results of other weights than" in capsys.readouterr().err

    assert main([*given, "--weights", str(other), "--overwrite"]) == 0
    assert all(times(out)[name] > before[name] for name in before)
    assert main([*given, "--weights", str(other)]) == 0


def test_files_of_the_same_names_from_elsewhere(
    pictures: Path, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    out = tmp_path / "out"
    assert main(arguments(pictures / "c.png", out, weights)) == 0
    (tmp_path / "elsewhere").mkdir()
    picture(3).save(tmp_path / "elsewhere" / "c.png")
    assert main(arguments(tmp_path / "elsewhere", out, weights)) == 1
    assert f"holds 'c', made of {pictures / 'c.png'}, not of" in capsys.readouterr().err


def test_bad_cases_are_listed_and_done_when_they_are_mended(
    pictures: Path, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    picture(1).save(pictures / "torn.jpg")
    (pictures / "torn.jpg").write_bytes((pictures / "torn.jpg").read_bytes()[:400])
    (pictures / "text.png").write_text("no picture")
    Image.fromarray(np.asarray(picture(2).convert("L")).astype(np.uint16) * 257).save(pictures / "deep.tif")
    Image.new("RGB", (30, 20)).save(pictures / "black.png")
    out = tmp_path / "out"
    given = arguments(pictures, out, weights, "FailsOnBlack")
    assert main(given) == 1
    error = capsys.readouterr().err
    error = error[error.index("Error: ") :].splitlines()
    assert "3 of 10 cases failed" in error[0]
    assert len(error) == 4
    problems = {problem["case"]: problem for problem in json.loads((out / "problems.json").read_text())}
    assert problems.keys() == {"torn", "text", "black"}
    assert all(str(pictures / problem["source"]) in problem["problem"] for problem in problems.values())
    assert "needs more memory than there is" in problems["black"]["problem"]
    assert "FailsOnBlack" in problems["black"]["details"] or "known_answer" in problems["black"]["details"]
    assert set(masks(out)) == {*NAMES, "deep.png"}
    assert not (out / "records" / "black.json").exists()

    before = times(out)
    for name in ("torn.jpg", "text.png", "black.png"):
        picture(0).save(pictures / name)
    assert main(given) == 0
    assert set(masks(out)) == {*NAMES, "deep.png", "torn.png", "text.png", "black.png"}
    assert {name: when for name, when in times(out).items() if name in before} == before
    assert not (out / "problems.json").exists()


@pytest.mark.slow
def test_killed_in_the_middle_it_goes_on(pictures: Path, weights: Path, tmp_path: Path) -> None:
    whole, out = tmp_path / "whole", tmp_path / "out"
    assert main(arguments(pictures, whole, weights)) == 0
    given = arguments(pictures, out, weights, "SlowBrightIsForeground")
    running = program(given)
    stop_after(running, out / "records", 2, signal.SIGKILL)
    assert running.returncode == -signal.SIGKILL
    done = {path.stem for path in (out / "records").glob("*.json")}
    assert 2 <= len(done) < len(NAMES)
    before = {name: when for name, when in times(out).items() if Path(name).stem in done}

    assert main(given) == 0
    assert files(out) == files(whole)
    for name, mask in masks(whole).items():
        np.testing.assert_array_equal(masks(out)[name], mask)
    assert (out / "pictures/overlays.png").read_bytes() == (whole / "pictures/overlays.png").read_bytes()
    assert {name: when for name, when in times(out).items() if name in before} == before


@pytest.mark.slow
def test_ctrl_c_is_one_line_and_leaves_nothing_half_written(pictures: Path, weights: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    running = program(arguments(pictures, out, weights, "SlowBrightIsForeground"))
    error = stop_after(running, out / "records", 1, signal.SIGINT)
    assert running.returncode == 130, error
    lines = [line for line in error.splitlines() if line.strip()]
    assert lines[-1] == "Interrupted: run it again, without --overwrite, to do what is left."
    assert "Traceback" not in error
    assert [name for name in files(out) if Path(name).name.startswith(".")] == []


def no_input(folder: Path) -> list[str]:
    return [str(folder / "missing"), str(folder / "out")]


def output_in_input(folder: Path) -> list[str]:
    return [str(folder / "in put"), str(folder / "in put" / "out")]


def output_is_file(folder: Path) -> list[str]:
    (folder / "out").write_text("mine")
    return [str(folder / "in put"), str(folder / "out")]


def output_below_file(folder: Path) -> list[str]:
    (folder / "file").write_text("mine")
    return [str(folder / "in put"), str(folder / "file" / "out")]


def volumes_for_pictures(folder: Path) -> list[str]:
    (folder / "volumes").mkdir()
    nibabel.save(nibabel.Nifti1Image(np.zeros((4, 5, 6), np.int16), np.eye(4)), folder / "volumes" / "a.nii.gz")
    return [str(folder / "volumes"), str(folder / "out")]


def empty_folder(folder: Path) -> list[str]:
    (folder / "empty").mkdir()
    return [str(folder / "empty"), str(folder / "out")]


def nothing_wrong(folder: Path) -> list[str]:
    return [str(folder / "in put"), str(folder / "out")]


MISTAKES: dict[str, tuple[Callable[[Path], list[str]], list[str], str]] = {
    "no input": (no_input, [], "does not exist"),
    "output in input": (output_in_input, [], "lies in the input folder"),
    "output is a file": (output_is_file, [], "is a file: choose another name"),
    "output below a file": (output_below_file, [], "cannot be written into"),
    "empty folder": (empty_folder, [], "holds no pictures"),
    "volumes for a bundle of pictures": (volumes_for_pictures, [], "holds volumes, this config takes pictures"),
    "no weights": (nothing_wrong, ["--weights", "no.pt"], "There is no weight file 'no.pt'"),
    "unknown id": (
        nothing_wrong,
        ["--set", "imagesize=3"],
        "--set imagesize is not in the config: did you mean --set image_size?",
    ),
    "no value": (nothing_wrong, ["--set", "image_size"], "has no value"),
}


@pytest.mark.parametrize("kind", MISTAKES)
def test_a_mistake_is_one_sentence(
    kind: str, pictures: Path, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    make, more, message = MISTAKES[kind]
    assert main(["run", POLYP, *make(tmp_path), "--weights", str(weights), "--set", "image_size=32", *more]) == 1
    error = capsys.readouterr().err
    assert message in error
    assert "\n" not in error[error.index("Error: ") :].strip()
    assert not (tmp_path / "out").is_dir() or files(tmp_path / "out") == set()


def test_bundles_are_found_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, pictures: Path
) -> None:
    assert main(["run", "polyps", str(pictures), str(tmp_path / "out")]) == 1
    assert POLYP in capsys.readouterr().err
    (tmp_path / "shelf" / "mine" / "configs").mkdir(parents=True)
    (tmp_path / "shelf" / "mine" / "configs" / "inference.yaml").write_text("input_kind: volumes\n")
    monkeypatch.setenv("MEDSEG_BUNDLES", str(tmp_path / "shelf"))
    assert main(["run", "mine", str(pictures), str(tmp_path / "out"), "--set", "nothing=1"]) == 1
    assert "--set nothing is not in the config" in capsys.readouterr().err


def test_volumes_are_skipped_when_they_are_done(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    units = np.full((30, 40, 6), 40, np.int16)
    units[4:12, 10:30, 1:5] = -900
    affine = np.diag([-2.0, 2.0, 3.0, 1.0])
    for name in ("first", "second"):
        nibabel.save(nibabel.Nifti1Image(units, affine), folder / f"{name}.nii.gz")
    torch.save(DarkIsLung().state_dict(), tmp_path / "model.pt")
    given = ["run", LUNG, str(folder), str(out), "--weights", str(tmp_path / "model.pt"), "--set", "image_size=64"]
    given += ["--set", "network_def={_target_: known_lungs.DarkIsLung}"]
    assert main(given) == 0
    mask = nibabel.load(out / "first.nii.gz")
    np.testing.assert_allclose(mask.affine, affine)
    assert set(np.unique(mask.dataobj)) == {0, 2}  # the file's first axis runs to the left
    (out / "records" / "second.json").unlink()
    before = (out / "first.nii.gz").stat().st_mtime_ns
    assert main(given) == 0
    assert "1 of 2 cases are done already, 1 to do" in caplog.messages
    assert (out / "first.nii.gz").stat().st_mtime_ns == before
    assert (out / "records" / "second.json").is_file()


def test_the_config_fits_the_kind_of_input(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    rng = np.random.default_rng(0)
    volumes_for_pictures(tmp_path)
    nibabel.save(
        nibabel.Nifti1Image(rng.normal(0, 300, (20, 24, 2)).astype(np.int16), np.eye(4)),
        tmp_path / "volumes" / "a.nii.gz",
    )
    (tmp_path / "slices").mkdir()
    Image.fromarray(rng.integers(0, 255, (20, 24), np.uint8)).save(tmp_path / "slices" / "b.png")
    fast = ["--set", "image_size=33", "--set", "max_steps=1"]
    for source, result in (("volumes", "a.nii.gz"), ("slices", "b.png")):
        assert main(["run", MS_LUNG, str(tmp_path / source), str(tmp_path / "out" / source), *fast]) == 0
        assert (tmp_path / "out" / source / result).is_file()
    picture(0).save(tmp_path / "volumes" / "b.png")
    capsys.readouterr()
    assert main(["run", MS_LUNG, str(tmp_path / "volumes"), str(tmp_path / "out2"), *fast]) == 1
    assert "holds pictures and volumes: give a folder of one kind" in capsys.readouterr().err


HOSTILE = ["$__import__('os').system('touch pwned')", "@x", "%x", "a#b", "a @::b", "%::c", "$'q\\"]


@pytest.mark.parametrize("name", HOSTILE)
def test_no_path_is_read_as_an_expression(
    name: str, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    """As input, picture, output and weights, from the folder that holds them."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).mkdir()
    picture(0).save(tmp_path / name / f"{name.replace('/', '')}.png")
    weights.rename(tmp_path / f"{name}.pt")
    assert main(arguments(Path(name), Path(f"{name} out"), Path(f"{name}.pt"))) == 0, capsys.readouterr().err
    assert list(masks(tmp_path / f"{name} out")) == [f"{name}.png"]
    assert (
        main(
            [
                *arguments(Path(name), Path(f"{name} out"), Path(f"{name}.pt")),
                "--set",
                f"encoder={yaml.safe_dump(name)}",
            ]
        )
        == 0
    )
    listed = yaml.safe_dump([name, 0.5, 0.5], default_flow_style=True)
    given = arguments(Path(name), Path(f"{name} other"), Path(f"{name}.pt"))
    assert main([*given, "--set", f"mean={listed}"]) == 1
    assert not (tmp_path / "pwned").exists()


def test_a_bundle_of_others_is_used_only_as_a_path(
    pictures: Path, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    """A folder of the current directory that is called as an installed bundle is not taken for it."""
    monkeypatch.chdir(tmp_path)
    ignored = shutil.ignore_patterns("models", "eval")
    for name in (POLYP, "$mine"):
        shutil.copytree(BUNDLES / POLYP, tmp_path / name, ignore=ignored)
    shutil.make_archive("mine", "zip", tmp_path, "$mine")
    given = arguments(pictures, tmp_path / "out", weights)
    assert main(given) == 0
    assert "can run code" not in capsys.readouterr().err
    for bundle in (f"./{POLYP}", "./$mine", "mine.zip"):
        assert main([given[0], bundle, *given[2:]]) == 0
        assert f"'{bundle}' is not an installed bundle: its configs can run code" in capsys.readouterr().err
    assert main([given[0], "$mine", *given[2:]]) == 1
    assert "(its folder here is './$mine')" in capsys.readouterr().err


REFUSED = [
    *(f"image_size={value}" for value in (0, -1, ".nan", 1.5, "big", "[32, 32]", 10**6)),
    *("std=[0, 1, 1]", "std=[1, 1]", "sw_batch_size=0", "seed=text", "seed=-1", "device=cuda:9", "device=x"),
    *("decoder_channels=0", "save_pictures=maybe", "amp=1", "phantoms=0"),
]


@pytest.mark.parametrize("setting", REFUSED)
def test_a_wrong_value_is_one_sentence(
    setting: str, pictures: Path, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    given = ["run", POLYP, str(pictures), str(tmp_path / "out"), "--weights", str(weights), "--set", setting]
    assert main(given) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"Error: '{setting.partition('=')[0]}' ")
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()
