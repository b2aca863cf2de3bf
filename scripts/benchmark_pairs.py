"""Parameters, multiply-adds and speed of every encoder with every decoder, as a Markdown table on the standard output.

    python scripts/benchmark_pairs.py                      # all pairs at 352 x 352 on the CPU
    python scripts/benchmark_pairs.py --device cuda --batch-size 8 --encoders mit_b2 pvt_v2_b2 --decoders pld ppd

Multiply-adds are those of convolutions, linear layers and attention as this implementation computes them; the
element-wise window attention of SimViT is not among them. Speed is that of the fastest of some forward passes in
float32 and evaluation mode, because every disturbance makes a pass slower and none faster. On a CPU it is that of one
thread, in processor time, so that other programs disturb it little.
"""

import argparse
import os
import sys
import time

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from medseg.networks import DECODERS, ENCODERS, SSFormer


def multiply_adds(network: SSFormer, size: int) -> float:
    """Multiply-adds of one image `[1, 3, size, size]`."""
    with torch.device("meta"):
        image = torch.empty(1, 3, size, size)
    # the counter knows attention as matrix products
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH), torch.inference_mode():
        network(image)
    return counter.get_total_flops() / 2


def seconds(network: SSFormer, image: torch.Tensor, repeats: int) -> float:
    """Seconds of the fastest of some forward passes; processor time on a CPU."""
    clock = time.perf_counter if image.is_cuda else time.process_time
    fastest = float("inf")
    with torch.inference_mode():
        for _ in range(1 + repeats):
            start = clock()
            network(image)
            if image.is_cuda:
                torch.cuda.synchronize()
            fastest = min(fastest, clock() - start)
    return fastest


def cell(encoder: str, decoder: str, given: argparse.Namespace) -> str:
    """Millions of parameters, GMACs and images per second."""
    with torch.device("meta"):
        try:
            network = SSFormer(encoder=encoder, decoder=decoder).eval()
        except ValueError:
            return "-"
    parameters = sum(parameter.numel() for parameter in network.parameters()) / 1e6
    work = multiply_adds(network, given.size) / 1e9
    network = SSFormer(encoder=encoder, decoder=decoder).to(given.device, memory_format=torch.channels_last).eval()
    image = torch.randn(given.batch_size, 3, given.size, given.size, device=given.device)
    image = image.to(memory_format=torch.channels_last)
    return f"{parameters:.1f} / {work:.1f} / {given.batch_size / seconds(network, image, given.repeats):.2f}"


def main() -> None:
    """Measure every pair and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--encoders", nargs="+", choices=ENCODERS, default=list(ENCODERS))
    parser.add_argument("--decoders", nargs="+", choices=DECODERS, default=list(DECODERS))
    parser.add_argument("--size", type=int, default=352, help="pixels on each side")
    parser.add_argument("--batch-size", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=3, help="forward passes after the first")
    parser.add_argument("--device", default="cpu")
    given = parser.parse_args()
    torch.set_num_threads(1)
    machine = "CPU, one thread" if given.device == "cpu" else torch.cuda.get_device_name(given.device)
    sys.stdout.write(f"{machine}, torch {torch.__version__}, load {os.getloadavg()[0]:.1f} at the start\n\n")
    sys.stdout.write(
        "| encoder | " + " | ".join(given.decoders) + " |\n| --- |" + " --- |" * len(given.decoders) + "\n"
    )
    for encoder in given.encoders:
        cells = [cell(encoder, decoder, given) for decoder in given.decoders]
        sys.stdout.write(f"| {encoder} | " + " | ".join(cells) + " |\n")
        sys.stdout.flush()
    if given.device == "cpu":
        sys.stdout.write(f"\nload {os.getloadavg()[0]:.1f} at the end\n")


if __name__ == "__main__":
    main()
