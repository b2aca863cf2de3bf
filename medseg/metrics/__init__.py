from medseg.metrics.saliency import SaliencyMetric

__all__ = [
    "SaliencyMetric",
]
