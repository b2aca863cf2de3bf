"""Runs that die, and runs of several processes."""

import csv
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from running import command, environment, run_command

from medseg.phantoms import write_phantoms

pytestmark = pytest.mark.slow

BUNDLE = "ssformer_polyp_segmentation"
SMALL = ("train", "variants/smoke")
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]


def wait_until(condition: Callable[[], bool], process: subprocess.Popen) -> None:
    while not condition():
        assert process.poll() is None, "the run ended before it could be killed"
        time.sleep(0.02)


def epoch_of(checkpoint: Path) -> float:
    """Epochs done, with fractions: a whole number if no epoch was cut."""
    trainer = torch.load(checkpoint, weights_only=True)["trainer"]
    return trainer["iteration"] / trainer["epoch_length"]


def assert_equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys()
    assert [name for name, tensor in one.items() if not torch.equal(tensor, other[name])] == []


def test_killed_run_resumes_to_the_weights_of_a_run_that_was_not(tmp_path: Path) -> None:
    options = {"output_dir": tmp_path, "ckpt_dir": tmp_path, "epochs": 4, "phantoms": 40}
    with open(tmp_path / "log.txt", "w") as log:
        arguments = command("training", BUNDLE, *SMALL, **options)
        process = subprocess.Popen([sys.executable, "-m", *arguments], env=environment(), stdout=log, stderr=log)
        wait_until((tmp_path / "checkpoint.pt").exists, process)
        time.sleep(0.2)  # into the next epoch
        process.send_signal(signal.SIGKILL)
        process.wait()
    reached = epoch_of(tmp_path / "checkpoint.pt")
    assert reached in (1, 2, 3)
    result = run_command("training", BUNDLE, *SMALL, "resume", **options)
    assert result.returncode == 0, result.stderr
    assert epoch_of(tmp_path / "checkpoint.pt") == 4
    whole = {**options, "output_dir": tmp_path / "whole", "ckpt_dir": tmp_path / "whole"}
    assert run_command("training", BUNDLE, *SMALL, **whole).returncode == 0
    weights, wanted = (torch.load(folder / "model.pt", weights_only=True) for folder in (tmp_path, tmp_path / "whole"))
    assert weights["decoder.pred.weight"].shape == (1, 16, 1, 1)
    assert_equal(weights, wanted)


def workers_of(process: subprocess.Popen) -> list[int]:
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    found = [int(pid) for pid in children.read_text().split()]
    return [pid for pid in found if b"monai.bundle" in Path(f"/proc/{pid}/cmdline").read_bytes()]


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds the worker through /proc")
def test_torchrun_continues_after_a_worker_died(tmp_path: Path) -> None:
    options = {"output_dir": tmp_path, "ckpt_dir": tmp_path, "epochs": 3, "phantoms": 40}
    arguments = command("training", BUNDLE, *SMALL, "multi_gpu_train", **options)
    with open(tmp_path / "log.txt", "w") as log:
        process = subprocess.Popen(
            [*TORCHRUN, "--max-restarts=1", "-m", *arguments], env=environment(), stdout=log, stderr=log
        )
        wait_until((tmp_path / "checkpoint.pt").exists, process)
        os.kill(workers_of(process)[-1], signal.SIGKILL)
        assert process.wait(timeout=3600) == 0, (tmp_path / "log.txt").read_text()[-30000:]
    assert epoch_of(tmp_path / "checkpoint.pt") == 3
    assert f"Resumed '{tmp_path / 'checkpoint.pt'}' after epoch" in (tmp_path / "log.txt").read_text()
    weights = torch.load(tmp_path / "model.pt", weights_only=True)
    assert not any(key.startswith("module.") for key in weights)
    # one process writes: its three handlers have one file of events each, in the first start and the second
    assert len(list(tmp_path.glob("events.out.tfevents.*"))) == 6
    whole = {**options, "output_dir": tmp_path / "whole", "ckpt_dir": tmp_path / "whole"}
    arguments = command("training", BUNDLE, *SMALL, "multi_gpu_train", **whole)
    subprocess.run([*TORCHRUN, "-m", *arguments], env=environment(), capture_output=True, timeout=3600, check=True)
    assert_equal(weights, torch.load(tmp_path / "whole" / "model.pt", weights_only=True))


def test_two_processes_evaluate_as_one(tmp_path: Path) -> None:
    pytest.importorskip("py_sod_metrics")
    data = write_phantoms("polyp", tmp_path / "data", 15, seed=3, size=(96, 128))
    (data / "odd.txt").write_text("\n".join(path.stem for path in sorted((data / "images").iterdir())[:7]))
    train = {"output_dir": tmp_path / "train", "ckpt_dir": tmp_path, "dataset_dir": data}
    assert run_command("training", BUNDLE, *SMALL, **train).returncode == 0
    tables = []
    for name in ("one", "two"):
        options = {**train, "output_dir": tmp_path / name, "test_sets": {"odd": [str(data), "odd.txt"]}}
        if name == "one":
            result = run_command("evaluating", BUNDLE, *SMALL, "evaluate", **options)
        else:
            arguments = command("evaluating", BUNDLE, *SMALL, "evaluate", "multi_gpu_evaluate", **options)
            result = subprocess.run(
                [*TORCHRUN, "-m", *arguments],
                env=environment(),
                capture_output=True,
                text=True,
                timeout=3600,  # processes that wait for each other would wait for ever
                check=False,
            )
        assert result.returncode == 0, result.stderr[-3000:]
        with open(tmp_path / name / "images.csv") as file:
            tables.append(list(csv.DictReader(file)))
    one, two = tables
    assert len(one) == 7
    for a, b in zip(one, two, strict=True):
        assert (a["set"], a["image"]) == (b["set"], b["image"])
        assert [float(a[key]) for key in a if key not in ("set", "image")] == pytest.approx(
            [float(b[key]) for key in b if key not in ("set", "image")], abs=1e-5
        )


def test_a_multi_process_config_without_torchrun_says_so(tmp_path: Path) -> None:
    result = run_command("training", BUNDLE, *SMALL, "multi_gpu_train", output_dir=tmp_path, ckpt_dir=tmp_path)
    assert result.returncode == 1
    assert "must be started by torchrun" in result.stderr.strip().splitlines()[-1]
