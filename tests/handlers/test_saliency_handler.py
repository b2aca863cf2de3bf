from pathlib import Path

import pytest
import torch
from ignite.engine import Engine
from monai.handlers import MetricsSaver, from_engine

from medseg.handlers import SaliencyMetrics
from medseg.metrics import SaliencyMetric

pytest.importorskip("py_sod_metrics")


def batches() -> list[list[dict[str, torch.Tensor]]]:
    generator = torch.Generator().manual_seed(0)
    sizes = [(12, 7), (9, 14), (12, 7)]
    items = []
    for i, size in enumerate(sizes):
        label = torch.zeros(1, *size)
        label[:, 2 : 5 + i, 1:4] = 1
        items.append({"prob": (label * 0.3 + torch.rand(label.shape, generator=generator) * 0.6), "label": label})
    return [items[:2], items[2:]]


def test_state_after_a_run(tmp_path: Path) -> None:
    engine = Engine(lambda _engine, batch: batch)
    SaliencyMetrics(output_transform=from_engine(["prob", "label"])).attach(engine, "saliency")
    MetricsSaver(save_dir=str(tmp_path), metrics="*", metric_details="saliency").attach(engine)
    for item in (item for batch in batches() for item in batch):
        item["label"].meta = {}
    engine.run(batches())

    metric = SaliencyMetric()
    for batch in batches():
        metric([item["prob"] for item in batch], [item["label"] for item in batch])
    assert {k: engine.state.metrics[k] for k in metric.columns} == pytest.approx(metric.aggregate())
    assert set(engine.state.metrics) == set(metric.columns)
    assert torch.equal(engine.state.metric_details["saliency"], metric.get_buffer())
    assert engine.state.metric_summaries["saliency"].summarize([0, 2]) == metric.summarize([0, 2])

    lines = (tmp_path / "metrics.csv").read_text().splitlines()
    assert [line.count(",") for line in lines] == [1] * 7
    raw = (tmp_path / "saliency_raw.csv").read_text().splitlines()
    assert len(raw) == 4
    assert float(raw[2].split(",")[1]) == pytest.approx(metric.get_buffer()[1, 0].item(), abs=1e-4)


def test_a_second_run_starts_anew() -> None:
    engine = Engine(lambda _engine, batch: batch)
    SaliencyMetrics(output_transform=from_engine(["prob", "label"])).attach(engine, "saliency")
    engine.run(batches())
    first = dict(engine.state.metrics)
    engine.run(batches())
    assert engine.state.metrics == first
    assert len(engine.state.metric_details["saliency"]) == 3
