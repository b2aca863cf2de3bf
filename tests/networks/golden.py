"""A few output values of every network, filled by a rule; run as a program it writes them to golden.json.

Regenerate only in a state in which tests/parity passes: the public values are then those of the published networks.
"""

import json
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parents[1] / "parity"))
from filling import filled

from medseg.losses.msformer import MSFormerLoss
from medseg.networks import DECODERS, PUBLISHED_VARIANTS, MSFormer, SSFormer, build_decoder, build_encoder
from medseg.networks.encoders.pyramid import PyramidEncoder

GOLDEN = Path(__file__).with_name("golden.json")
FAMILIES = ("mit_b0", "pvt_tiny", "pvt_v2_b0", "cvt_13", "simvit_tiny", "shunted_tiny")
Module = TypeVar("Module", bound=nn.Module)
VALUES = 6  # of each output


def fill(module: Module) -> Module:
    """The module in float64 and evaluation mode, its weights a function of their names and shapes."""
    module.load_state_dict(filled((key, list(tensor.shape)) for key, tensor in module.state_dict().items()))
    return module.double().eval()


def noise(*shape: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng(0).standard_normal(shape))


def sample(x: Tensor) -> list[float]:
    """Values at even distances, from the first to the last, rounded to eight digits."""
    flat = x.detach().flatten()
    picked = flat[torch.linspace(0, len(flat) - 1, VALUES).long()]
    return [float(f"{value:.8g}") for value in picked.tolist()]


@lru_cache(maxsize=1)
def filled_encoder(name: str) -> PyramidEncoder:
    return fill(build_encoder(name))


def variant_values(variant: str) -> list[list[float]]:
    """Of the logits in training order of a published variant: PPD has two more than one."""
    arguments = PUBLISHED_VARIANTS[variant]
    with torch.device("meta"):
        network = SSFormer(**arguments)
    network.encoder = filled_encoder(arguments["encoder"])
    network.decoder = fill(network.decoder.to_empty(device="cpu"))
    network.eval()
    image = noise(1, 3, 64, 96)
    with torch.inference_mode():
        values = [sample(network(image))]
        if hasattr(network.decoder, "branches"):
            values += [sample(logits) for logits in network.decoder.branches(network.encoder(image))]
    return values


def encoder_values(name: str) -> list[list[float]]:
    with torch.inference_mode():
        return [sample(level) for level in fill(build_encoder(name))(noise(1, 3, 64, 96))]


def decoder_values(name: str) -> list[list[float]]:
    decoder = fill(build_decoder(name, (8, 16, 24, 32), out_channels=2, channels=16))
    maps = [noise(1, channels, 32 // size, 48 // size) for channels, size in ((8, 1), (16, 2), (24, 4), (32, 8))]
    with torch.inference_mode():
        return [sample(logits) for logits in decoder(maps)]


def msformer_values(mode: str) -> list[list[float]]:
    """Of everything the losses see, the losses, and the gradient of their sum."""
    network = fill(MSFormer()).train(mode == "train")
    features = network.forward_features(noise(2, 3, 67, 70))
    parts = MSFormerLoss.parts(features)
    loss = MSFormerLoss()(features)
    loss.backward()
    gradients = [network.embed_fine.proj.weight.grad, network.coarse[0].mlp.dwconv.weight.grad]
    outputs = [features.scores, features.patch_attention, *features.contexts, *gradients]
    return [sample(x) for x in outputs] + [part.tolist() for part in parts] + [[loss.item()]]


def golden(kind: str, name: str) -> list[list[float]]:
    functions: dict[str, Any] = {
        "variants": variant_values,
        "encoders": encoder_values,
        "decoders": decoder_values,
        "msformer": msformer_values,
    }
    return functions[kind](name)


NAMES = {
    # variants of one encoder follow each other, so that it is filled once
    "variants": sorted(PUBLISHED_VARIANTS, key=lambda variant: PUBLISHED_VARIANTS[variant]["encoder"]),
    "encoders": FAMILIES,
    "decoders": tuple(DECODERS),
    "msformer": ("train", "eval"),
}


if __name__ == "__main__":
    values = {kind: {name: golden(kind, name) for name in names} for kind, names in NAMES.items()}
    lines = (
        f'  "{kind}": {{\n' + ",\n".join(f'    "{name}": {json.dumps(row)}' for name, row in rows.items()) + "\n  }"
        for kind, rows in values.items()
    )
    GOLDEN.write_text("{\n" + ",\n".join(lines) + "\n}\n")
