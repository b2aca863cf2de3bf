"""Stop segmentations and trainings at random, continue them, and compare with runs that nothing stopped.

    python tests/fuzz/stops.py --seed 0 --stops 20

A segmentation of 20 generated pictures with the shipped weights is stopped once by SIGKILL, SIGTERM or SIGINT, at a
random time, and continued: masks and pictures must be the same bytes. A training (16 pictures of 32 pixels, 12 epochs)
is stopped again and again: the last checkpoint must hold the same tensors. Prints one line per kind.
"""

import argparse
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "bundles"))
from running import command, environment

from medseg.phantoms import write_phantoms

POLYP = "ssformer_polyp_segmentation"
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)


def start(arguments: list[str]) -> subprocess.Popen[bytes]:
    quiet = subprocess.DEVNULL
    return subprocess.Popen([sys.executable, "-m", *arguments], stdout=quiet, stderr=quiet, env=environment())


def whole(arguments: list[str]) -> float:
    """Seconds of a run that ends well."""
    began = time.monotonic()
    if status := start(arguments).wait():
        raise SystemExit(f"{' '.join(arguments)} ended with status {status}.")
    return time.monotonic() - began


def stopped(arguments: list[str], after: float, with_signal: int) -> bool:
    """Whether the run was still going when the signal was sent."""
    process = start(arguments)
    try:
        process.wait(after)
    except subprocess.TimeoutExpired:
        process.send_signal(with_signal)
        process.wait()
        return True
    return False


def segmentations(stops: int, rng: random.Random, home: Path) -> str:
    images = write_phantoms("polyp", home / "data", 20, seed=0, size=(120, 150)) / "images"

    def run(out: str) -> list[str]:
        return ["medseg", "run", POLYP, str(images), str(home / out), "--device", "cpu"]

    def results(out: str) -> dict[str, bytes]:
        return {str(path.relative_to(home / out)): path.read_bytes() for path in (home / out).rglob("*.png")}

    seconds = whole(run("whole"))
    hit = same = 0
    for index in range(stops):
        out = f"stopped{index}"
        hit += stopped(run(out), rng.uniform(0.3, 1.0) * seconds, rng.choice(SIGNALS))
        whole(run(out))
        same += results(out) == results("whole")
    return f"segmentations: {stops} started, {hit} stopped, {same} with the same files"


def trainings(stops: int, rng: random.Random, home: Path) -> str:
    def train(out: str, *configs: str) -> list[str]:
        values = {"epochs": 12, "image_size": 32, "phantoms": 20, "device": "cpu", "phantom_dir": home / "phantoms"}
        return command("training", POLYP, "train", "variants/smoke", *configs, output_dir=home / out, **values)

    def tensors(out: str) -> dict[str, Any]:
        state: dict[str, Any] = torch.load(home / out / "models" / "checkpoint.pt", weights_only=True)
        return {**state["model"], **{f"average.{key}": tensor for key, tensor in state["average"].items()}}

    seconds = whole(train("undisturbed"))
    hit = 0
    configs: tuple[str, ...] = ()
    for _ in range(stops):
        hit += stopped(train("stopped", *configs), rng.uniform(0.4, 0.9) * seconds, rng.choice(SIGNALS))
        if (home / "stopped" / "models" / "checkpoint.pt").exists():
            configs = ("resume",)
    start(train("stopped", *configs)).wait()  # to the end; a complete run says so
    one, other = tensors("undisturbed"), tensors("stopped")
    same = sum(torch.equal(one[key], other[key]) for key in one)
    return f"training: {stops} started, {hit} stopped, {same} of {len(one)} tensors the same"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--stops", type=int, default=20, help="of each kind")
    given = parser.parse_args()
    rng = random.Random(given.seed)
    with tempfile.TemporaryDirectory() as folder:
        for kind in (segmentations, trainings):
            (Path(folder) / kind.__name__).mkdir()
            print(kind(given.stops, rng, Path(folder) / kind.__name__), flush=True)


if __name__ == "__main__":
    main()
