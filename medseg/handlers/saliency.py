from collections.abc import Callable

from ignite.engine import Engine
from monai.handlers import IgniteMetricHandler

from medseg.metrics.saliency import SaliencyMetric


class SaliencyMetrics(IgniteMetricHandler):
    """Compute :py:class:`medseg.metrics.SaliencyMetric` in an Ignite engine.

    Puts each of the metric's columns into `engine.state.metrics` under the column's own name (`mDice256`,
    `wFm`, ...), the values per image `[N, 7]` into `engine.state.metric_details[name]` and the metric into
    `engine.state.metric_summaries[name]`, where :py:class:`medseg.handlers.MetricsTable` finds how the images
    of one set are summarized.

    Args:
        min_max: whether to stretch every map to its own range first, see the metric.
        output_transform: gives `(maps, masks)` from `engine.state.output`, batches `[B, 1, H, W]` or lists of
            `[1, H, W]`, for example `monai.handlers.from_engine(["prob", "label"])`.

    Raises:
        ImportError: when pysodmetrics is not installed.
    """

    def __init__(self, output_transform: Callable, min_max: bool = True) -> None:
        super().__init__(metric_fn=SaliencyMetric(min_max=min_max), output_transform=output_transform)

    def attach(self, engine: Engine, name: str) -> None:  # type: ignore[override]
        super().attach(engine, name)
        if not hasattr(engine.state, "metric_summaries"):
            engine.state.metric_summaries = {}  # type: ignore[attr-defined]
        engine.state.metric_summaries[name] = self.metric_fn  # type: ignore[attr-defined]

    def completed(self, engine: Engine, name: str) -> None:
        super().completed(engine, name)
        # Ignite leaves the whole mapping beside its items: a broken line in a CSV file of metrics
        engine.state.metrics.pop(name, None)
