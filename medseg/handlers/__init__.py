from medseg.handlers.checkpoint_saver import AtomicCheckpointSaver
from medseg.handlers.saliency import SaliencyMetrics

__all__ = [
    "AtomicCheckpointSaver",
    "SaliencyMetrics",
]
