from medseg.handlers.checkpoint_saver import AtomicCheckpointSaver
from medseg.handlers.metrics_table import MetricsTable
from medseg.handlers.overlay_sheet import OverlaySheet
from medseg.handlers.saliency import SaliencyMetrics

__all__ = [
    "AtomicCheckpointSaver",
    "MetricsTable",
    "OverlaySheet",
    "SaliencyMetrics",
]
