"""The measures of the polyp segmentation table."""

from collections.abc import Callable
from typing import Any

from medseg.handlers.column_metric import ColumnMetricHandler
from medseg.metrics.saliency import SaliencyMetric


class SaliencyMetrics(ColumnMetricHandler):
    """Compute `medseg.metrics.SaliencyMetric` (`mDice256`, `wFm`, ...) in an Ignite engine.

    Args:
        output_transform: gives `(maps, masks)` from `engine.state.output`, batches `[B, 1, H, W]` or lists of
            `[1, H, W]`, for example `monai.handlers.from_engine(["prob", "label"])`.
        min_max: whether to stretch every map to its own range first, see the metric.

    Raises:
        ImportError: when pysodmetrics is not installed.
    """

    def __init__(self, output_transform: Callable[[Any], Any], min_max: bool = True) -> None:
        super().__init__(metric_fn=SaliencyMetric(min_max=min_max), output_transform=output_transform)
