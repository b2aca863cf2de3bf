import math
from collections.abc import Callable

import pytest
import torch
from ignite.engine import Engine
from monai.handlers import IgniteMetricHandler
from monai.metrics import CumulativeIterationMetric, DiceMetric, MeanIoU


def mask(*pixels: tuple[int, int]) -> torch.Tensor:
    result = torch.zeros(1, 6, 4)
    for row, col in pixels:
        result[0, row, col] = 1
    return result


CASES = [
    # (prediction, label, Dice, IoU)
    (mask(), mask(), 1.0, 1.0),
    (mask((1, 2)), mask(), 0.0, 0.0),
    (mask(), mask((1, 2)), 0.0, 0.0),
    (mask((0, 1), (1, 1)), mask((1, 1), (2, 1)), 0.5, 1 / 3),
]


@pytest.mark.parametrize(("metric", "column"), [(DiceMetric, 2), (MeanIoU, 3)])
def test_empty_masks_count_as_the_configs_expect(metric: Callable[..., CumulativeIterationMetric], column: int) -> None:
    """The configs compute Dice and IoU at 0.5 with MONAI's metrics and `ignore_empty=False`."""
    engine = Engine(lambda _engine, batch: batch)
    engine.state.metrics = {}
    IgniteMetricHandler(metric_fn=metric(ignore_empty=False)).attach(engine, "overlap")
    engine.run([([case[0]], [case[1]]) for case in CASES])
    expected = [case[column] for case in CASES]
    assert engine.state.metric_details["overlap"].flatten().tolist() == pytest.approx(expected)
    assert engine.state.metrics["overlap"] == pytest.approx(sum(expected) / len(expected))


@pytest.mark.parametrize("metric", [DiceMetric, MeanIoU])
def test_the_default_of_monai_leaves_empty_masks_out(metric: Callable[..., CumulativeIterationMetric]) -> None:
    """Why the argument has to be there."""
    value = metric()(torch.zeros(1, 1, 6, 4), torch.zeros(1, 1, 6, 4))
    assert math.isnan(value.item())
