import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.metrics import DiceMetric

from medseg.errors import InputError
from medseg.metrics import SaliencyMetric
from medseg.metrics import saliency as saliency_module

pytest.importorskip("py_sod_metrics")
PARITY_DIR = os.environ.get("MEDSEG_PARITY_DIR")
COLUMNS = ("mDice256", "mIoU256", "wFm", "Sm", "meanEm", "maxEm", "MAE")


def example(seed: int = 0, shape: tuple[int, int] = (13, 9)) -> tuple[torch.Tensor, torch.Tensor]:
    """A noisy map around an off-center box, both [1, 1, H, W]."""
    generator = torch.Generator().manual_seed(seed)
    mask = torch.zeros(1, 1, *shape)
    mask[..., 2:7, 4:] = 1
    logits = (2 * mask - 1) * 1.5 + torch.randn(mask.shape, generator=generator)
    return logits.sigmoid(), mask


def scores(prob: torch.Tensor, mask: torch.Tensor, min_max: bool = True) -> dict[str, float]:
    metric = SaliencyMetric(min_max=min_max)
    metric(prob, mask)
    return metric.aggregate()


def overlap_curves(prob: torch.Tensor, mask: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Dice and IoU at 255/255, 254/255, ..., 0, by counting pixels in a loop."""
    p, m = prob.double().numpy().ravel(), mask.numpy().ravel() > 0.5
    p = (p - p.min()) / (p.max() - p.min())
    dice, iou = [], []
    for t in range(255, -1, -1):
        chosen = np.floor(p * 255) >= t
        both, either = np.sum(chosen & m), np.sum(chosen | m)
        dice.append(2 * both / (chosen.sum() + m.sum()))
        iou.append(both / either)
    return np.array(dice), np.array(iou)


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 10_000), height=st.integers(9, 20), width=st.integers(7, 15))
def test_overlap_curves_and_error_equal_brute_force(seed: int, height: int, width: int) -> None:
    prob, mask = example(seed, (height, width))
    metric = SaliencyMetric()
    metric(prob, mask)
    dice, iou = overlap_curves(prob, mask)
    curves = metric.get_curves()
    np.testing.assert_allclose(curves[0, 0], dice, atol=1e-6)
    np.testing.assert_allclose(curves[0, 1], iou, atol=1e-6)
    line = metric.aggregate()
    stretched = (prob - prob.min()) / (prob.max() - prob.min())
    assert line["mDice256"] == pytest.approx(dice.mean(), abs=1e-6)
    assert line["mIoU256"] == pytest.approx(iou.mean(), abs=1e-6)
    assert line["MAE"] == pytest.approx((stretched - mask).abs().mean().item(), abs=1e-6)
    assert all(0 <= value <= 1.02 for value in line.values())


def test_columns_and_buffer_shapes() -> None:
    prob, mask = example()
    metric = SaliencyMetric()
    assert tuple(metric.columns) == COLUMNS
    assert metric.get_buffer() is None
    metric(torch.cat([prob, prob]), torch.cat([mask, mask]))
    metric([prob[0]], [mask[0]])  # a list of [1, H, W], as a decollated batch gives it
    assert metric.get_buffer().shape == (3, 7)
    assert metric.get_curves().shape == (3, 3, 256)
    assert torch.equal(metric.get_buffer()[0], metric.get_buffer()[2])
    metric.reset()
    with pytest.raises(ValueError, match="no image to summarize"):
        metric.aggregate()


def test_images_of_different_sizes() -> None:
    (prob_a, mask_a), (prob_b, mask_b) = example(1), example(2, (20, 11))
    metric = SaliencyMetric()
    metric([prob_a[0], prob_b[0]], [mask_a[0], mask_b[0]])
    assert metric.summarize([1]) == pytest.approx(scores(prob_b, mask_b))


def test_a_group_averages_the_curves_before_the_maximum() -> None:
    metric = SaliencyMetric()
    for seed in range(4):
        metric(*example(seed))
    values, curves = metric.get_buffer().double(), metric.get_curves().double()
    rows = [0, 2, 3]
    line = metric.summarize(rows)
    for i, name in enumerate(COLUMNS):
        if name != "maxEm":
            assert line[name] == pytest.approx(values[rows, i].mean().item(), abs=1e-12)
    assert line["maxEm"] == pytest.approx(curves[rows, 2].mean(dim=0).max().item(), abs=1e-12)
    assert line["maxEm"] < values[rows, 5].mean().item()  # the curves peak at different thresholds
    assert line["meanEm"] == pytest.approx(curves[rows, 2].mean(dim=0).mean().item(), abs=1e-6)


def test_equals_pysodmetrics_on_saved_maps() -> None:
    """The published way: 8-bit maps on disk, one pysodmetrics object over the whole set."""
    sod = pytest.importorskip("py_sod_metrics")
    dice = {"dice": sod.DICEHandler(with_dynamic=True, with_adaptive=False)}
    overlap, rest = sod.FmeasureV2(dice), [sod.WeightedFmeasure(), sod.Smeasure(), sod.Emeasure(), sod.MAE()]
    metric = SaliencyMetric()
    for seed in range(3):
        prob, mask = example(seed, (19, 12 + seed))
        saved = (prob * 255).round().to(torch.uint8)
        metric(saved.double() / 255, mask)
        for measure in (overlap, *rest):
            measure.step(saved[0, 0].numpy(), (mask[0, 0].numpy() * 255).astype(np.uint8))
    weighted, structure, alignment, error = (measure.get_results() for measure in rest)
    line, curve = metric.aggregate(), alignment["em"]["curve"]
    assert line["mDice256"] == pytest.approx(overlap.get_results()["dice"]["dynamic"].mean(), abs=1e-6)
    assert line["wFm"] == pytest.approx(weighted["wfm"], abs=1e-6)
    assert line["Sm"] == pytest.approx(structure["sm"], abs=1e-6)
    assert line["meanEm"] == pytest.approx(curve.mean(), abs=1e-6)
    assert line["maxEm"] == pytest.approx(curve.max(), abs=1e-6)
    assert line["MAE"] == pytest.approx(error["mae"], abs=1e-6)


def test_perfect_and_inverted_maps() -> None:
    _, mask = example()
    right, wrong = scores(mask, mask), scores(1 - mask, mask)
    all_foreground = 2 * mask.mean().item() / (1 + mask.mean().item())
    assert right["mDice256"] == pytest.approx((255 + all_foreground) / 256, abs=1e-6)
    for name in ("wFm", "Sm", "maxEm"):
        assert right[name] == pytest.approx(1, abs=0.02)
        assert wrong[name] < 0.4
    assert right["MAE"] == 0
    assert wrong["MAE"] == 1


def test_stretching() -> None:
    prob, mask = example()
    faint = prob * 0.1
    assert scores(faint, mask) == pytest.approx(scores(prob, mask), abs=2e-3)  # floor() may move by one level
    assert scores(faint, mask, min_max=False)["mDice256"] < 0.2
    constant = torch.full_like(mask, 0.4)
    assert scores(constant, mask)["MAE"] == pytest.approx((constant - mask).abs().mean().item(), abs=1e-6)


def test_empty_mask() -> None:
    mask = torch.zeros(1, 1, 8, 5)
    clean = scores(torch.zeros_like(mask), mask)
    assert clean["mDice256"] == clean["mIoU256"] == pytest.approx(255 / 256)
    assert clean["wFm"] == clean["Sm"] == 1
    assert clean["maxEm"] == pytest.approx(40 / 39, abs=1e-6)
    assert clean["MAE"] == 0

    faint = torch.full_like(mask, 0.1)
    faint[..., 3, 2] = 0.2  # would become a full detection if it were stretched
    line = scores(faint, mask)
    assert line["mDice256"] == pytest.approx((255 - 51) / 256)
    assert line["wFm"] == 1

    found = torch.zeros_like(mask)
    found[..., 1, 4] = 0.5
    line = scores(found, mask)
    assert line["mDice256"] == pytest.approx((255 - 127) / 256)
    assert line["wFm"] == 0
    assert line["Sm"] == pytest.approx(1 - 0.5 / 40)


def test_empty_prediction() -> None:
    mask = torch.zeros(1, 1, 17, 14)
    mask[..., 4:9, 5:10] = 1
    line = scores(torch.zeros_like(mask), mask)
    share = mask.mean().item()
    assert line["mDice256"] == pytest.approx(2 * share / (1 + share) / 256, abs=1e-6)
    assert line["mIoU256"] == pytest.approx(share / 256, abs=1e-6)
    assert line["wFm"] == pytest.approx(0, abs=1e-6)
    assert line["MAE"] == pytest.approx(share, abs=1e-6)
    # the published weighted F-measure is lenient at the image's border
    at_border = mask.roll(5, dims=-1)
    assert 0 < scores(torch.zeros_like(mask), at_border)["wFm"] < 0.5


def test_full_mask() -> None:
    mask = torch.ones(1, 1, 8, 5)
    line = scores(torch.full_like(mask, 0.9), mask)
    assert line["mDice256"] == pytest.approx(230 / 256)  # floor(0.9 * 255) = 229
    assert line["Sm"] == pytest.approx(0.9)
    assert line["MAE"] == pytest.approx(0.1)


@settings(deadline=None, max_examples=40)
@given(data=st.data())
def test_never_nan(data: st.DataObject) -> None:
    height, width = data.draw(st.integers(2, 7)), data.draw(st.integers(2, 7))
    pixels = st.lists(st.sampled_from([0.0, 0.3, 1.0]), min_size=height * width, max_size=height * width)
    prob = torch.tensor(data.draw(pixels)).reshape(1, 1, height, width)
    mask = (torch.tensor(data.draw(pixels)).reshape(1, 1, height, width) > 0.5).float()
    assert np.isfinite(list(scores(prob, mask).values())).all()


@pytest.mark.filterwarnings("error")
def test_mask_on_the_border_has_an_s_measure() -> None:
    """One quarter around the mask's center has no pixels then."""
    prob, mask = example()[0], torch.zeros(1, 1, 13, 9)
    mask[..., 12, 8] = 1
    assert 0 < scores(prob, mask)["Sm"] < 1


@pytest.mark.skipif(PARITY_DIR is None, reason="MEDSEG_PARITY_DIR is not set")
@pytest.mark.parametrize(
    "case", ["z|m_disc[0]", "z|m_disc[1]", "z|m_bin[0]", "z|m_bin[1]", "noisy|m_disc[0]", "noisy|m_disc[1]"]
)
def test_a_map_binarized_first_gives_what_the_published_script_prints(case: str) -> None:
    assert PARITY_DIR is not None
    published = json.loads((Path(PARITY_DIR) / "losses_metrics.json").read_text())["mean_dice_256_thresholds"]
    printed, _, plain, _ = published[case]
    shape = (2, 1, 64, 48)
    row, col = np.mgrid[:64, :48]
    disc = np.stack([(row - 30) ** 2 + (col - 20) ** 2 <= 144, (row - 10) ** 2 + (col - 40) ** 2 <= 225])[:, None]
    masks = {"m_disc": disc, "m_bin": np.random.default_rng(2).random(shape) > 0.7}
    logits = {
        "z": np.random.default_rng(1).standard_normal(shape) * 2,
        "noisy": (2 * disc - 1) * 1.5 + np.random.default_rng(7).standard_normal(shape),
    }
    name, rest = case.split("|")
    index = int(rest[-2])
    logit = torch.tensor(logits[name][index : index + 1], dtype=torch.float32)
    mask = torch.tensor(masks[rest[:-3]][index : index + 1], dtype=torch.float32)
    prob = logit.sigmoid()
    binary = (prob > 0.5).float()
    assert scores(binary, mask)["mDice256"] == pytest.approx(printed, abs=1e-6)
    dice = DiceMetric(ignore_empty=False)(binary, mask).item()
    assert dice == pytest.approx(plain, abs=1e-6)
    # the table's own number is taken from the probabilities and differs
    assert abs(scores(prob, mask)["mDice256"] - printed) > 1e-3


@pytest.mark.parametrize(
    ("prob", "mask", "message"),
    [
        (torch.zeros(1, 1, 8, 6), torch.zeros(1, 1, 8, 5), "bring the map back to the mask's size"),
        (torch.zeros(1, 2, 8, 6), torch.zeros(1, 2, 8, 6), r"\[B, 1, H, W\]"),
        (torch.full((1, 1, 8, 6), 3.0), torch.zeros(1, 1, 8, 6), "apply a sigmoid first"),
        (torch.full((1, 1, 8, 6), float("nan")), torch.zeros(1, 1, 8, 6), "apply a sigmoid first"),
        (torch.zeros(1, 1, 8, 6), torch.full((1, 1, 8, 6), 255), "divide by its largest value"),
        (torch.zeros(1, 1, 8, 6), None, "needs masks"),
    ],
)
def test_wrong_input_is_named(prob: torch.Tensor, mask: torch.Tensor | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SaliencyMetric()(prob, mask)


def test_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saliency_module, "has_py_sod_metrics", False)
    with pytest.raises(InputError, match="pip install pysodmetrics"):
        SaliencyMetric()
