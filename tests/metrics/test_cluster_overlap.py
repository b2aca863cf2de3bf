import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from monai.metrics import DiceMetric, MeanIoU
from scipy import ndimage

from medseg.metrics import MaskOverlapMetric, OracleClusterOverlapMetric, SaliencyMetric
from medseg.metrics.oracle_cluster_overlap import oracle_mask
from medseg.metrics.overlap import overlap_values


def masks(seed: int, share: float, shape: tuple[int, ...] = (3, 1, 9, 12)) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).random(shape) < share)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 99), st.floats(0.05, 0.95), st.floats(0.05, 0.95))
def test_agrees_with_monai(seed, share, other):
    pred, truth = masks(seed, share), masks(seed + 100, other)
    assume(truth.flatten(1).any(1).all())  # the wrong share of nothing is not defined
    values = overlap_values(pred, truth)
    torch.testing.assert_close(values[:, :1], DiceMetric(ignore_empty=False)(pred.float(), truth.float()))
    torch.testing.assert_close(1 - values[:, 1:2], MeanIoU(ignore_empty=False)(pred.float(), truth.float()))
    wrong = (pred ^ truth).sum((1, 2, 3)) / truth.sum((1, 2, 3))
    torch.testing.assert_close(values[:, 2], wrong)


def test_empty_cases():
    empty, some = torch.zeros(1, 1, 4, 5, dtype=torch.bool), masks(1, 0.5, (1, 1, 4, 5))
    assert overlap_values(empty, empty).tolist() == [[1, 0, 0]]
    assert overlap_values(empty, some).tolist() == [[0, 1, 1]]
    dice, hm, xor = overlap_values(some, empty)[0].tolist()
    assert (dice, hm) == (0, 1)
    assert np.isnan(xor)


def test_oracle_picks_the_most_frequent_label_and_crops():
    rng = np.random.default_rng(4)
    labels = rng.integers(0, 3, (2, 1, 40, 30))
    truth = np.zeros(labels.shape, bool)
    truth[:, :, 10:20, 8:15] = True
    labels[0, 0, 9:19, 8:15] = 0
    labels[1, 0, 12:25, 8:25] = 2
    ours = oracle_mask(torch.from_numpy(labels), torch.from_numpy(truth)).numpy()
    for index, label in enumerate((0, 2)):
        near = ndimage.binary_dilation(truth[index, 0], np.ones((7, 7)), iterations=2)
        assert np.array_equal(ours[index, 0], (labels[index, 0] == label) & near)


def test_published_fault_never_chooses_label_zero():
    labels = torch.zeros(1, 1, 6, 8)
    labels[..., :2] = 5
    truth = torch.zeros(1, 1, 6, 8, dtype=torch.bool)
    truth[..., 1:6] = True
    assert torch.equal(oracle_mask(labels, truth, margin=1), (labels == 0) & (torch.arange(8) < 7))
    faulty = oracle_mask(labels, truth, margin=1, skip_label_zero=True)
    assert torch.equal(faulty, labels == 5)
    assert not oracle_mask(torch.zeros_like(labels), truth, skip_label_zero=True).any()
    assert not oracle_mask(labels, torch.zeros_like(truth)).any()


@pytest.mark.parametrize("metric", [MaskOverlapMetric(), OracleClusterOverlapMetric(margin=0)])
def test_means_over_images_leave_out_what_has_no_value(metric):
    truth = masks(2, 0.4).float()
    truth[1] = 0
    pred = truth.clone()
    pred[1, 0, 0, 0] = 1
    metric(pred, truth)
    dice, hm, xor = metric.aggregate().values()
    final = isinstance(metric, MaskOverlapMetric)
    # the oracle finds nothing to choose in an empty truth, and two empty masks agree
    assert dice == pytest.approx(2 / 3 if final else 1)
    assert hm == pytest.approx(1 / 3 if final else 0)
    assert xor == pytest.approx(0)


@pytest.mark.parametrize(("metric", "prefix"), [(MaskOverlapMetric(), ""), (OracleClusterOverlapMetric(0), "oracle_")])
def test_columns_hold_what_they_are_called(metric, prefix):
    pred, truth = torch.zeros(1, 1, 4, 8), torch.zeros(1, 1, 4, 8)
    pred[..., :3], truth[..., 1:3] = 1, 1  # 12 and 8 pixels, 8 of them common
    if prefix:  # which crops the cluster to the truth
        pred[..., 1:2] = 2
    metric(pred, truth)
    both, either, true = (4, 8, 8) if prefix else (8, 12, 8)
    expected = {"Dice": 2 * both / (both + either), "HM": (either - both) / either, "XOR": (either - both) / true}
    assert metric.aggregate() == pytest.approx({f"{prefix}{name}": value for name, value in expected.items()})


def test_only_the_final_mask_has_a_dice_to_rank_by():
    metrics = (MaskOverlapMetric, OracleClusterOverlapMetric, SaliencyMetric)
    assert [name for metric in metrics for name, column in metric.columns.items() if column.is_dice] == ["Dice"]
    for name, words in {"HM": "/ union", "XOR": "/ truth", "oracle_HM": "/ union", "oracle_XOR": "/ truth"}.items():
        assert words in {**MaskOverlapMetric.columns, **OracleClusterOverlapMetric.columns}[name].meaning


def test_refuses_what_does_not_fit():
    with pytest.raises(ValueError, match="one size"):
        MaskOverlapMetric()(torch.zeros(1, 1, 3, 4), torch.zeros(1, 1, 4, 3))
    with pytest.raises(ValueError, match="margin"):
        OracleClusterOverlapMetric(margin=-1)
    with pytest.raises(ValueError, match="no image"):
        MaskOverlapMetric().aggregate()
