"""Handlers of the metrics with several columns."""

from collections.abc import Callable
from typing import Any

from ignite.engine import Engine
from monai.handlers import IgniteMetricHandler

from medseg.metrics.column_metric import ColumnMetric
from medseg.metrics.mask_overlap import MaskOverlapMetric
from medseg.metrics.oracle_cluster_overlap import OracleClusterOverlapMetric
from medseg.metrics.saliency import SaliencyMetric


class ColumnMetricHandler(IgniteMetricHandler):
    """Compute a `medseg.metrics.ColumnMetric`, which each subclass names, in an Ignite engine.

    Puts each of the metric's columns into `engine.state.metrics` under the column's own name, the values of each image
    `[N, C]` into `engine.state.metric_details[name]`, and the metric itself into `engine.state.metric_summaries[name]`,
    where `MetricsTable` finds its columns and how a group of images is summarized.

    Args:
        output_transform: gives predictions and labels from `engine.state.output`, batches `[B, C, H, W]` or lists of
            `[C, H, W]`, for example `monai.handlers.from_engine(["prob", "label"])`.
        options: arguments of the metric.
    """

    metric: type[ColumnMetric]

    def __init__(self, output_transform: Callable[[Any], Any], **options: Any) -> None:
        super().__init__(metric_fn=self.metric(**options), output_transform=output_transform)

    def attach(self, engine: Engine, name: str) -> None:  # type: ignore[override]
        """Compute the metric as `name` in each epoch of `engine`."""
        super().attach(engine, name)
        if not hasattr(engine.state, "metric_summaries"):
            engine.state.metric_summaries = {}  # type: ignore[attr-defined]
        engine.state.metric_summaries[name] = self.metric_fn  # type: ignore[attr-defined]

    def completed(self, engine: Engine, name: str) -> None:
        """Put the values into the state of an engine that has completed an epoch."""
        super().completed(engine, name)
        # Ignite leaves the whole mapping beside its items: a broken line in a CSV file of metrics
        engine.state.metrics.pop(name, None)


class MaskOverlap(ColumnMetricHandler):
    """Dice, HM and XOR of the final masks against the labels, both at the original size."""

    metric = MaskOverlapMetric


class OracleClusterOverlap(ColumnMetricHandler):
    """Overlap of the clusters that the labels pick, as published for MS-Former; cluster maps at the network's size."""

    metric = OracleClusterOverlapMetric


class SaliencyMetrics(ColumnMetricHandler):
    """The measures of the polyp segmentation table (`mDice256`, `wFm`, ...) of probability maps `[1, H, W]`."""

    metric = SaliencyMetric
