"""What the handlers of metrics with several columns have in common."""

from ignite.engine import Engine
from monai.handlers import IgniteMetricHandler


class ColumnMetricHandler(IgniteMetricHandler):
    """Base of the handlers of a `medseg.metrics.ColumnMetric`.

    Puts each of the metric's columns into `engine.state.metrics` under the column's own name, the values of each image
    `[N, C]` into `engine.state.metric_details[name]`, and the metric itself into `engine.state.metric_summaries[name]`,
    where `MetricsTable` finds its columns and how a group of images is summarized.
    """

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
