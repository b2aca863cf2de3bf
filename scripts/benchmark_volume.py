"""Peak memory and seconds of inference on generated CT volumes of several depths, through the lung CT bundle.

    python scripts/benchmark_volume.py --size 512 --slices 150 300 600 --threads 2

Each volume is segmented in a process of its own, started as a user would start it, with random weights; the peak is
that process's largest resident memory. What is to be seen: the peak grows by the volume itself (four bytes a voxel,
while it is read another two) and by nothing else.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nibabel
import numpy as np
import torch

from medseg.networks import SSFormer

BUNDLE = Path(__file__).parents[1] / "bundles" / "ssformer_lung_ct_segmentation"
NETWORK = {"encoder": "mit_b0", "decoder_channels": 64}


def write_chest(path: Path, size: int, slices: int) -> None:
    """A body of 40 HU with two ellipsoids of -850 HU in it, 0.7 x 0.7 x 1 mm, in int16 with noise."""
    x, y, z = np.ogrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j, -1 : 1 : slices * 1j]
    units = np.random.default_rng(0).integers(-20, 20, (size, size, slices), dtype=np.int16)
    body = (x / 0.86) ** 2 + (y / 0.63) ** 2 < 1
    units += np.where(body, 40, -1000).astype(np.int16)
    for center in (-0.41, 0.41):
        units[((x - center) / 0.31) ** 2 + (y / 0.43) ** 2 + (z / 0.73) ** 2 < 1] -= 890
    nibabel.save(nibabel.Nifti1Image(units, np.diag([-0.7, -0.7, 1.0, 1.0])), path)


def segment(volume: Path, folder: Path, threads: int, overrides: list[str]) -> tuple[float, float, str]:
    """Peak memory in MB, seconds of the whole process, and its last lines if it failed."""
    arguments = ["run", "inferring", "--config_file", str(BUNDLE / "configs" / "inference.yaml")]
    arguments += ["--bundle_root", str(BUNDLE), "--dataset_dir", str(volume), "--output_dir", str(folder / "out")]
    arguments += ["--ckpt_dir", str(folder), *(f"--{name}={value}" for name, value in NETWORK.items()), *overrides]
    start = time.perf_counter()
    with open(folder / "log.txt", "w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "monai.bundle", *arguments],
            env={**os.environ, "OMP_NUM_THREADS": str(threads)},
            stdout=log,
            stderr=log,
        )
        _, status, usage = os.wait4(process.pid, 0)
    failure = (folder / "log.txt").read_text()[-2000:] if status else ""
    return usage.ru_maxrss / 1024, time.perf_counter() - start, failure


def main() -> None:
    """Measure volumes of several sizes and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=512, help="voxels, height and width")
    parser.add_argument("--slices", type=int, nargs="+", default=[150, 300, 600])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("overrides", nargs="*", help="of the config, as --batch_size=8, after --")
    given = parser.parse_args()
    print(f"{given.threads} threads, mit_b0, 64 channels; resident MB are the whole process's\n")
    print("| volume | float32 volume, MB | peak, MB | seconds |\n| --- | ---: | ---: | ---: |")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        torch.manual_seed(0)
        torch.save(SSFormer(in_channels=3, out_channels=3, **NETWORK).state_dict(), folder / "model.pt")
        for slices in given.slices:
            write_chest(folder / "chest.nii.gz", given.size, slices)
            peak, seconds, failure = segment(folder / "chest.nii.gz", folder, given.threads, given.overrides)
            if failure:
                sys.exit(failure)
            volume = given.size**2 * slices * 4 / 2**20
            print(f"| {given.size} x {given.size} x {slices} | {volume:.0f} | {peak:.0f} | {seconds:.0f} |", flush=True)


if __name__ == "__main__":
    main()
