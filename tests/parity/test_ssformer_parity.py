"""SSFormer gives the published networks' outputs when filled with the published networks' weights."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from filling import filled

from medseg.networks import SSFormer
from medseg.networks.checkpoints import load_weights

PUBLISHED = {"mit_PLD_b2": ("mit_b2", "pld"), "mit_PLD_b4": ("mit_b4", "pld")}


@pytest.mark.parametrize("variant", PUBLISHED)
def test_equals_the_published_network(variant: str, parity_dir: Path) -> None:
    encoder, decoder = PUBLISHED[variant]
    variants = json.loads((parity_dir / "variants.json").read_text())
    network = SSFormer(encoder=encoder, decoder=decoder).eval()
    load_weights(network, filled(variants[variant]["state_dict"]))

    golden = np.load(parity_dir / f"{variant}.npz")
    for height, width in ((352, 352), (256, 320)):
        image = np.random.default_rng(0).standard_normal((2, 3, height, width)).astype(np.float32)
        with torch.inference_mode():
            maps = network.encoder(torch.from_numpy(image))
            logits = network(torch.from_numpy(image))
        size = f"{height}x{width}"
        for i, (level, step) in enumerate(zip(maps, (8, 4, 2, 1), strict=True), start=1):
            expected = golden[f"stage{i}_{size}_sub"]
            np.testing.assert_allclose(level[:1, ::32, ::step, ::step], expected, atol=1e-4, rtol=0)
        assert logits.shape == (2, 1, height, width)
        np.testing.assert_allclose(logits[..., ::4, ::4], golden[f"out0_{size}_sub4"], atol=1e-4, rtol=0)
        print(f"{variant} {size}: {np.abs(logits[..., ::4, ::4].numpy() - golden[f'out0_{size}_sub4']).max():.1e}")
