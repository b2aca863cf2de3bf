import itertools
import json
import math
import os
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.losses import DeepSupervisionLoss, DiceCELoss

from medseg.losses import IGNORED, MaskLoss, PixelwiseDiceBCELoss, StructureLoss

PARITY_DIR = os.environ.get("MEDSEG_PARITY_DIR")
# what each loss is called in the file of published numbers
PUBLISHED = [
    (PixelwiseDiceBCELoss(), "dice_bce_loss"),
    (StructureLoss(weighted_bce=False), "structure_loss (bug: reduce='none' means plain mean BCE)"),
]
LOSSES = [StructureLoss(), StructureLoss(window=5, gain=2.0), PixelwiseDiceBCELoss()]


def parity_inputs() -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    shape = (2, 1, 64, 48)
    row, col = np.mgrid[:64, :48]
    disc = np.stack([(row - 30) ** 2 + (col - 20) ** 2 <= 144, (row - 10) ** 2 + (col - 40) ** 2 <= 225])[:, None]
    masks = {
        "m_bin": np.random.default_rng(2).random(shape) > 0.7,
        "m_disc": disc,
        "m_soft": np.random.default_rng(3).random(shape),
        "m_zero": np.zeros(shape),
        "m_one": np.ones(shape),
    }
    logits = torch.tensor(np.random.default_rng(1).standard_normal(shape) * 2, dtype=torch.float32)
    return logits, {name: torch.tensor(m, dtype=torch.float32) for name, m in masks.items()}


def disc_mask() -> torch.Tensor:
    return parity_inputs()[1]["m_disc"]


@pytest.mark.skipif(PARITY_DIR is None, reason="MEDSEG_PARITY_DIR is not set")
@pytest.mark.parametrize(("loss", "published"), PUBLISHED, ids=["pixelwise", "structure"])
@pytest.mark.parametrize("squash", [False, True], ids=["logits", "squashed_first"])
@pytest.mark.parametrize("mask", ["m_bin", "m_disc", "m_soft", "m_zero", "m_one"])
def test_equals_the_published_value_and_gradient(
    loss: torch.nn.Module, published: str, squash: bool, mask: str
) -> None:
    assert PARITY_DIR is not None
    table = json.loads((Path(PARITY_DIR) / "losses_metrics.json").read_text())["losses"][published]
    expected = table[f"{'sigmoid(z) [as train.py]' if squash else 'z'}|{mask}"]
    logits, masks = parity_inputs()
    given = (logits.sigmoid() if squash else logits).requires_grad_()
    value = loss(given, masks[mask])
    (grad,) = torch.autograd.grad(value, given)
    assert value.item() == pytest.approx(expected["value"], abs=2e-6)
    # the stored gradient is the one with respect to what the loss was given
    assert grad.norm().item() == pytest.approx(expected["grad_l2"], rel=1e-4)
    assert grad.sum().item() == pytest.approx(expected["grad_sum"], rel=1e-3, abs=1e-6)


def test_structure_loss_equals_a_loop_over_pixels() -> None:
    logits = torch.randn(2, 1, 9, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    mask = torch.zeros(2, 1, 9, 7, dtype=torch.float64)
    mask[0, 0, 1:4, 2:6] = 1
    mask[1, 0, 5:, 0] = 0.25
    total = 0.0
    for z, m in zip(logits[:, 0].tolist(), mask[:, 0].tolist(), strict=True):
        bce = weights = overlap = union = 0.0
        for r in range(9):
            for c in range(7):
                window = [
                    m[i][j] if 0 <= i < 9 and 0 <= j < 7 else 0.0
                    for i in range(r - 2, r + 3)
                    for j in range(c - 2, c + 3)
                ]
                w = 1 + 5 * abs(sum(window) / 25 - m[r][c])
                p = 1 / (1 + math.exp(-z[r][c]))
                bce -= w * (m[r][c] * math.log(p) + (1 - m[r][c]) * math.log(1 - p))
                weights += w
                overlap += w * p * m[r][c]
                union += w * (p + m[r][c] - p * m[r][c])
        total += bce / weights + 1 - (overlap + 1) / (union + 1)
    assert StructureLoss(window=5)(logits, mask).item() == pytest.approx(total / 2, abs=1e-12)


def test_weighting_makes_outline_errors_dearer() -> None:
    mask = torch.zeros(1, 1, 64, 64)
    mask[..., 16:48, 16:48] = 1
    near, far = (mask * 2 - 1) * 8, (mask * 2 - 1) * 8
    near[..., 12:16, 20:44] = 8.0  # touches the outline
    far[..., 0:4, 20:44] = 8.0  # the same number of pixels, far away
    weighted, plain = StructureLoss(), StructureLoss(weighted_bce=False)
    assert weighted(near, mask) > weighted(far, mask) * 1.1
    assert weighted(near, mask) > plain(near, mask) * 1.1


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("empty", [False, True])
def test_perfect_prediction_costs_nothing_and_a_wrong_one_a_lot(loss: torch.nn.Module, empty: bool) -> None:
    mask = torch.zeros(2, 1, 64, 48) if empty else disc_mask()
    right = (mask * 2 - 1) * 30
    assert loss(right, mask).item() == pytest.approx(0.0, abs=1e-5)
    assert loss(-right, mask).item() > 5


@pytest.mark.parametrize("loss", LOSSES)
@settings(deadline=None, max_examples=20)
@given(steps=st.lists(st.floats(-6, 6), min_size=2, max_size=4, unique=True), seed=st.integers(0, 1000))
def test_falls_as_the_prediction_moves_toward_the_mask(loss: torch.nn.Module, steps: list[float], seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    mask = (torch.rand(2, 1, 13, 9, generator=generator, dtype=torch.float64) > 0.6).double()
    noise = torch.randn(2, 1, 13, 9, generator=generator, dtype=torch.float64)
    values = [loss(noise + (2 * mask - 1) * step, mask).item() for step in sorted(steps)]
    assert all(a >= b - 1e-9 for a, b in itertools.pairwise(values))


@pytest.mark.parametrize("loss", LOSSES)
def test_is_the_mean_over_the_images_in_any_order(loss: torch.nn.Module) -> None:
    logits, masks = parity_inputs()
    mask = masks["m_soft"]
    single = [loss(logits[i : i + 1], mask[i : i + 1]).item() for i in range(2)]
    assert loss(logits, mask).item() == pytest.approx(sum(single) / 2, abs=1e-6)
    assert loss(logits.flip(0), mask.flip(0)).item() == pytest.approx(loss(logits, mask).item(), abs=1e-6)


@pytest.mark.parametrize("loss", LOSSES)
def test_half_precision_and_integer_masks(loss: torch.nn.Module) -> None:
    logits, masks = parity_inputs()
    value = loss(logits.bfloat16(), masks["m_disc"].to(torch.uint8))
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(loss(logits.bfloat16().float(), masks["m_disc"]).item(), abs=1e-6)


@pytest.mark.parametrize("loss", LOSSES)
def test_wrong_shapes_are_named(loss: torch.nn.Module) -> None:
    with pytest.raises(ValueError, match=r"\(2, 1, 8, 6\) and \(2, 8, 6\)"):
        loss(torch.zeros(2, 1, 8, 6), torch.zeros(2, 8, 6))
    with pytest.raises(ValueError, match=r"\[B, C, H, W\]"):
        loss(torch.zeros(8, 6), torch.zeros(8, 6))


def test_even_window_is_refused() -> None:
    with pytest.raises(ValueError, match="odd window"):
        StructureLoss(window=30)


@pytest.mark.parametrize("loss", LOSSES)
def test_composes_with_deep_supervision(loss: torch.nn.Module) -> None:
    logits, masks = parity_inputs()
    coarse = logits[..., ::2, ::2].clone().requires_grad_()
    value = DeepSupervisionLoss(loss, weights=[1.0, 0.5])([logits, coarse], masks["m_disc"])
    small = F.interpolate(masks["m_disc"], size=(32, 24), mode="nearest-exact")
    expected = loss(logits, masks["m_disc"]) + 0.5 * loss(coarse, small)
    assert value.item() == pytest.approx(expected.item(), abs=1e-6)
    value.backward()
    assert coarse.grad is not None
    assert coarse.grad.abs().sum() > 0
    # in evaluation the network gives one tensor
    single = DeepSupervisionLoss(loss)(logits, masks["m_disc"])
    assert single.item() == pytest.approx(loss(logits, masks["m_disc"]).item(), abs=1e-6)


def test_monai_dice_ce_is_soft_dice_plus_cross_entropy_on_logits() -> None:
    """Why this package has no such loss of its own."""
    logits, masks = parity_inputs()
    mask, prob = masks["m_soft"], logits.sigmoid()
    overlap, total = (prob * mask).sum(dim=(2, 3)), (prob + mask).sum(dim=(2, 3))
    dice = (1 - (2 * overlap + 1e-5) / (total + 1e-5)).mean()
    bce = F.binary_cross_entropy_with_logits(logits, mask)
    assert DiceCELoss(sigmoid=True)(logits, mask).item() == pytest.approx((dice + bce).item(), abs=1e-6)
    half = DiceCELoss(sigmoid=True, lambda_dice=0.5, lambda_ce=0.5)
    assert half(logits, mask).item() == pytest.approx((dice + bce).item() / 2, abs=1e-6)


@pytest.mark.parametrize("channels", [1, 3])
def test_ignored_pixels_have_no_part_in_the_loss(channels: int) -> None:
    one, several = StructureLoss(), DiceCELoss(softmax=True, to_onehot_y=True, include_background=False, batch=True)
    loss = MaskLoss(one_channel=one, several=several)
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, channels, 24, 24, generator=generator)
    target = torch.randint(0, max(channels, 2), (2, 1, 24, 24), generator=generator).float()
    assert loss(logits, target) == (one if channels == 1 else several)(logits, target)
    target[..., :8] = IGNORED
    changed = logits.clone()
    changed[..., :8] = 5 * torch.randn(2, channels, 24, 8, generator=generator)
    changed.requires_grad_()
    value = loss(changed, target)
    assert value == loss(logits, target)
    value.backward()
    assert changed.grad is not None
    assert not changed.grad[..., :8].any()
    assert changed.grad[..., 8:].all()
    background = target.masked_fill(target == IGNORED, 0)
    assert value < loss(logits, background)
    perfect = torch.where(background == torch.arange(max(channels, 2))[None, :, None, None], 40.0, -40.0)[:, -channels:]
    assert loss(perfect, target) < 1e-4
