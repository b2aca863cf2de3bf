from medseg.handlers.saliency import SaliencyMetrics

__all__ = [
    "SaliencyMetrics",
]
