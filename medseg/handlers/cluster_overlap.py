from collections.abc import Callable

from ignite.engine import Engine
from monai.handlers import IgniteMetricHandler

from medseg.metrics.cluster_overlap import MaskOverlapMetric, OracleClusterOverlapMetric


class _OverlapHandler(IgniteMetricHandler):
    """Puts the metric's columns into `engine.state.metrics` and its values per image into `metric_details`."""

    def attach(self, engine: Engine, name: str) -> None:  # type: ignore[override]
        super().attach(engine, name)
        if not hasattr(engine.state, "metric_summaries"):
            engine.state.metric_summaries = {}  # type: ignore[attr-defined]
        engine.state.metric_summaries[name] = self.metric_fn  # type: ignore[attr-defined]

    def completed(self, engine: Engine, name: str) -> None:
        super().completed(engine, name)
        engine.state.metrics.pop(name, None)  # Ignite leaves the whole mapping beside its items


class MaskOverlap(_OverlapHandler):
    """Compute :py:class:`medseg.metrics.MaskOverlapMetric` (honest Dice, HM, XOR) in an Ignite engine.

    Args:
        output_transform: gives `(masks, labels)` at the original size from `engine.state.output`.
    """

    def __init__(self, output_transform: Callable) -> None:
        super().__init__(metric_fn=MaskOverlapMetric(), output_transform=output_transform)


class OracleClusterOverlap(_OverlapHandler):
    """Compute :py:class:`medseg.metrics.OracleClusterOverlapMetric` (as published) in an Ignite engine.

    Args:
        output_transform: gives `(cluster maps, labels)` at the network's size from `engine.state.output`.
        margin: see the metric.
        skip_label_zero: see the metric.
    """

    def __init__(self, output_transform: Callable, margin: int = 6, skip_label_zero: bool = False) -> None:
        metric = OracleClusterOverlapMetric(margin=margin, skip_label_zero=skip_label_zero)
        super().__init__(metric_fn=metric, output_transform=output_transform)
