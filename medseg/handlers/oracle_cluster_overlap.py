"""Overlap of the clusters that the labels pick, as published for MS-Former."""

from collections.abc import Callable
from typing import Any

from medseg.handlers.column_metric import ColumnMetricHandler
from medseg.metrics.oracle_cluster_overlap import OracleClusterOverlapMetric


class OracleClusterOverlap(ColumnMetricHandler):
    """Compute `medseg.metrics.OracleClusterOverlapMetric` (as published) in an Ignite engine.

    Args:
        output_transform: gives `(cluster maps, labels)` at the network's size from `engine.state.output`.
        margin: see the metric.
        skip_label_zero: see the metric.
    """

    def __init__(self, output_transform: Callable[[Any], Any], margin: int = 6, skip_label_zero: bool = False) -> None:
        metric = OracleClusterOverlapMetric(margin=margin, skip_label_zero=skip_label_zero)
        super().__init__(metric_fn=metric, output_transform=output_transform)
