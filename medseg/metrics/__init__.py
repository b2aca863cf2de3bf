from medseg.metrics.cluster_overlap import MaskOverlapMetric, OracleClusterOverlapMetric
from medseg.metrics.millimetres import HausdorffMillimetres, SurfaceDiceMillimetres
from medseg.metrics.saliency import SaliencyMetric

__all__ = [
    "HausdorffMillimetres",
    "MaskOverlapMetric",
    "OracleClusterOverlapMetric",
    "SaliencyMetric",
    "SurfaceDiceMillimetres",
]
