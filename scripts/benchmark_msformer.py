"""Seconds per fitting step of MS-Former: ours against the same mathematics written plainly, side by side.

The plain network computes what the paper's figure shows, operation by operation in channels-first layout, and fits
one image after the other. Both run in turns in this process, so that the ratio holds on a busy machine too; the
seconds do not. Check the load first.

    python scripts/benchmark_msformer.py --size 257 --threads 2 --rounds 3 --batch 2
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from medseg.inferers import SelfClusteringInferer
from medseg.losses import MSFormerLoss
from medseg.networks import MSFormer
from medseg.networks.msformer import MSFormerFeatures


class PlainBlock(nn.Module):
    """Efficient attention and mix-FFN on maps `[B, C, H, W]`, nothing folded and nothing tiled."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm1, self.norm2, self.norm_hidden = nn.LayerNorm(dim), nn.LayerNorm(dim), nn.LayerNorm(4 * dim)
        self.keys, self.queries, self.values, self.projection = (nn.Conv2d(dim, dim, 1) for _ in range(4))
        self.fc1, self.fc2 = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)
        self.dwconv = nn.Conv2d(4 * dim, 4 * dim, 3, padding=1, groups=4 * dim)
        self.norm_out = nn.BatchNorm2d(dim)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The map `[B, C, H, W]` and the context `[B, C, C]`."""
        height, width = x.shape[2:]
        tokens = x.flatten(2).mT
        normed = self.norm1(tokens).mT.unflatten(2, (height, width))
        keys = self.keys(normed).flatten(2).softmax(2)
        queries = self.queries(normed).flatten(2).softmax(1)
        context = keys @ self.values(normed).flatten(2).mT
        attended = (context.mT @ queries).unflatten(2, (height, width))
        tokens = tokens + self.projection(attended).flatten(2).mT
        normed = self.norm2(tokens)
        # the published code computes this product twice
        hidden, skip = self.fc1(normed), self.fc1(normed)
        mixed = self.dwconv(hidden.mT.unflatten(2, (height, width))).flatten(2).mT
        tokens = tokens + self.fc2(F.gelu(self.norm_hidden(mixed + skip)))
        return self.norm_out(tokens.mT.unflatten(2, (height, width))), context


class PlainMSFormer(nn.Module):
    """The network from plain parts, for sizes that are odd and one more than a multiple of 32."""

    def __init__(self, in_channels: int = 3, dim: int = 100) -> None:
        super().__init__()
        self.embeds = nn.ModuleList(
            nn.Sequential(nn.Conv2d(in_channels, dim, 3, stride, 1), nn.BatchNorm2d(dim)) for stride in (1, 2)
        )
        self.blocks = nn.ModuleList(nn.ModuleList(PlainBlock(dim) for _ in range(2)) for _ in range(2))
        self.upsample = nn.Linear(dim, 4 * dim, bias=False)
        self.head = nn.Linear(2 * dim, dim, bias=False)
        self.norm_scores = nn.BatchNorm2d(dim)
        self.embed_patch = nn.Linear(dim * 32**2, dim)

    def forward_features(self, image: Tensor) -> MSFormerFeatures:
        """As `MSFormer.forward_features`."""
        maps, contexts = [], []
        for embed, blocks in zip(self.embeds, self.blocks, strict=True):
            x = embed(image)
            for block in blocks:
                x, context = block(x)
            maps.append(x)
            contexts.append(context)
        batch, dim, rows, columns = maps[1].shape
        coarse = self.upsample(maps[1].permute(0, 2, 3, 1)).view(batch, rows, columns, 2, 2, dim)
        coarse = coarse.transpose(2, 3).reshape(batch, 2 * rows, 2 * columns, dim)[:, :-1, :-1]
        joined = torch.cat([coarse, maps[0].permute(0, 2, 3, 1)], dim=-1)
        scores = self.head(joined).permute(0, 3, 1, 2)
        normed = self.norm_scores(scores)
        embedded = []
        for crop in (normed[:, :, 1:, 1:], normed[:, :, :-1, :-1]):
            patches = crop.unflatten(3, (-1, 32)).unflatten(2, (-1, 32)).permute(0, 2, 4, 3, 5, 1)
            embedded.append(self.embed_patch(patches.flatten(3).flatten(1, 2)))
        attention = (embedded[0] @ embedded[1].mT / 8).softmax(-1)
        return MSFormerFeatures(scores, attention, (contexts[0], contexts[1]))


def plain_step(size: int, amount: int) -> Callable[[], None]:
    """One step of each of ``amount`` plain networks, one after the other."""
    torch.manual_seed(0)
    image, network, loss = torch.rand(1, 3, size, size), PlainMSFormer(), MSFormerLoss()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)

    def run() -> None:
        for _ in range(amount):
            optimizer.zero_grad()
            loss(network.forward_features(image)).backward()
            optimizer.step()

    return run


def our_steps(size: int, images: int, steps: int, amp: bool = False) -> Callable[[], None]:
    """``steps`` steps for each of some images by the inferer."""
    torch.manual_seed(0)
    batch, network = torch.rand(images, 3, size, size), MSFormer()
    inferer = SelfClusteringInferer(max_steps=steps, min_labels=1, as_labels=True, amp=amp)

    def run() -> None:
        inferer(batch, network)

    return run


def seconds(function: Callable[[], None]) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def main() -> None:
    """Measure in turns and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=257, help="height and width of the image, 32 k + 1")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each, in turns")
    parser.add_argument("--steps", type=int, default=3, help="steps in a measurement of ours")
    parser.add_argument("--batch", type=int, default=2, help="images of the batch")
    parser.add_argument("--amp", action="store_true", help="measure bfloat16 too")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    size, steps, batch = arguments.size, arguments.steps, arguments.batch
    # the inferer's last forward pass is no step; a third of a step is an honest estimate of it
    counted = steps + 1 / 3
    runs = {
        "plain": (plain_step(size, 1), 1.0),
        "ours, alone": (our_steps(size, 1, steps), counted),
        f"ours, batch of {batch}": (our_steps(size, batch, steps), counted * batch),
    }
    if arguments.amp:
        runs["ours, alone, bfloat16"] = (our_steps(size, 1, steps, amp=True), counted)
    print(f"{size} x {size}, {arguments.threads} threads, load before: {os.getloadavg()[0]:.1f}")
    runs["plain"][0]()  # memory and threads of the first step
    measured: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(arguments.rounds):
        for name, (function, amount) in runs.items():
            measured[name].append(seconds(function) / amount)
    ratios = {
        name: [p / v for p, v in zip(measured["plain"], values, strict=True)] for name, values in measured.items()
    }
    for name, values in measured.items():
        shown = ", ".join(f"{value:.2f}" for value in values)
        print(
            f"{name}: {statistics.median(values):.2f} s a step and image ({shown}); "
            f"median ratio plain / this {statistics.median(ratios[name]):.2f}"
        )
    print(f"load after: {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
