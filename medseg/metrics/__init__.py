from medseg.metrics.cluster_overlap import MaskOverlapMetric, OracleClusterOverlapMetric
from medseg.metrics.saliency import SaliencyMetric

__all__ = [
    "MaskOverlapMetric",
    "OracleClusterOverlapMetric",
    "SaliencyMetric",
]
