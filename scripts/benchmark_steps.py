"""Seconds of single steps beside the way that they replace, in turns in one process, as Markdown rows.

    python scripts/benchmark_steps.py resize               # anti-aliased resizing beside MONAI's `Resize`
    python scripts/benchmark_steps.py labels               # label maps on a CT's voxels beside `grid_sample`
    python scripts/benchmark_steps.py forward              # formats and types of a forward pass beside plain float32
    python scripts/benchmark_steps.py pictures             # PNG of a picture beside Pillow's default compression

The ratio is the reference's least time over ours. The results of both are compared before they are timed. The first
line tells the load of the machine and the floor: the speed of a float32 matrix product, in billions of multiply-adds
a second. One thread, on a CPU.
"""

import argparse
import io
import os
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from monai.data import MetaTensor
from monai.transforms import Resize, SpatialResample
from PIL import Image

from medseg.networks import SSFormer
from medseg.phantoms import polyp_phantom
from medseg.transforms import AntialiasedResize, ArgmaxInvertd

Step = Callable[[], object]


def seconds(step: Step) -> float:
    """Seconds of one call."""
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


def row(name: str, reference: Step, ours: Step, rounds: int, difference: str) -> None:
    """Print milliseconds of both, least and median of some rounds in turns, their ratio and how results differ."""
    seconds(reference), seconds(ours)
    times = [(seconds(reference), seconds(ours)) for _ in range(rounds)]
    least, median = [[1e3 * of(column) for column in zip(*times, strict=True)] for of in (min, statistics.median)]
    cells = [f"{low:.1f} ({middle:.1f})" for low, middle in zip(least, median, strict=True)]
    print(f"| {name} | {cells[0]} | {cells[1]} | {least[0] / least[1]:.2f} | {difference} |")


def resize(rounds: int) -> None:
    """Images of several sizes to 256 and 352 pixels."""
    for size, side in (((529, 622), 256), ((529, 622), 352), ((1070, 1225), 352)):
        image = MetaTensor(torch.rand(3, *size, generator=torch.Generator().manual_seed(0)) * 255)
        monai, ours = Resize((side, side), mode="bilinear", anti_aliasing=True), AntialiasedResize((side, side))
        worst = float((monai(image) - ours(image)).abs().max())
        name = f"{size[0]} x {size[1]} to {side}"
        row(name, lambda: monai(image), lambda: ours(image), rounds, f"{worst:.0e} of 255")  # noqa: B023


def labels(rounds: int) -> None:
    """Probabilities of three classes, 224 x 224 x 100, on 512 x 512 x 150 voxels."""
    coarse = torch.rand(1, 3, 8, 8, 8, generator=torch.Generator().manual_seed(0))
    grid = torch.nn.functional.interpolate(coarse, size=(224, 224, 100), mode="trilinear")[0].softmax(0)
    source, shape = np.diag([0.875, 0.875, 2.0, 1.0]), (512, 512, 150)
    scores = MetaTensor(grid, affine=torch.diag(torch.tensor([2.0, 2.0, 3.0, 1.0], dtype=torch.float64)))
    scores.meta.update(original_affine=source, spatial_shape=np.array(shape))
    resample = SpatialResample(mode="bilinear", padding_mode="border", align_corners=False, dtype=np.float32)

    def by_grid_sample() -> torch.Tensor:
        slabs = []
        for first in range(0, shape[2], 16):
            affine = torch.as_tensor(source).clone()
            affine[2, 3] = source[2, 2] * first
            slab = resample(scores, dst_affine=affine, spatial_size=(*shape[:2], min(16, shape[2] - first)))
            slabs.append(slab.as_tensor().argmax(0).to(torch.uint8))
        return torch.cat(slabs, -1)

    def ours() -> torch.Tensor:
        return ArgmaxInvertd("pred")({"pred": scores})["pred"].as_tensor()[0]

    differing = int((by_grid_sample() != ours()).sum())
    row("512 x 512 x 150", by_grid_sample, ours, rounds, f"{differing} of {np.prod(shape)} voxels")


def forward(rounds: int) -> None:
    """The shipped network's design at 256 pixels and SSFormer-S at 352."""
    for encoder, width, side in (("efficientnet_lite1", 64, 256), ("mit_b2", None, 352)):
        torch.manual_seed(0)
        plain, last = (
            SSFormer(encoder=encoder, decoder="pld", decoder_channels=width).eval().to(memory_format=layout)
            for layout in (torch.contiguous_format, torch.channels_last)
        )
        last.load_state_dict(plain.state_dict())
        image = torch.rand(1, 3, side, side)
        with torch.inference_mode():
            expected = plain(image)
            for name, enabled in (("channels last", False), ("channels last, bfloat16", True)):

                def ours(enabled: bool = enabled, last: SSFormer = last, image: torch.Tensor = image) -> torch.Tensor:
                    with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
                        return last(image).float()

                worst = float((ours() - expected).abs().max())
                step = lambda: plain(image)  # noqa: B023, E731
                row(f"{encoder}, {side}, {name}", step, ours, rounds, f"{worst:.0e} of logits")


def pictures(rounds: int) -> None:
    """A picture of a case, 1024 pixels wide."""
    image = Image.fromarray(polyp_phantom(0, size=(768, 1024), seed=0)[0])

    def size(level: int) -> int:
        image.save(file := io.BytesIO(), "PNG", compress_level=level)
        return file.tell()

    row("PNG", lambda: size(6), lambda: size(1), rounds, f"{size(1) / size(6):.2f} times the bytes")


def main() -> None:
    """Run the chosen steps."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    steps = {step.__name__: step for step in (resize, labels, forward, pictures)}
    parser.add_argument("steps", nargs="*", choices=[*steps, []], help="all of them if none is named")
    parser.add_argument("--rounds", type=int, default=7, help="pairs of timed calls")
    given = parser.parse_args()
    torch.set_num_threads(1)
    square = torch.rand(1024, 1024)
    floor = 1024**3 / min(seconds(lambda: square @ square) for _ in range(7)) / 1e9
    print(f"Load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores; matrix product {floor:.1f} GMAC/s\n")
    print("| step | reference, ms: least (median) | ours | ratio | difference |\n|---|---|---|---|---|")
    for name in given.steps or steps:
        steps[name](given.rounds)


if __name__ == "__main__":
    main()
