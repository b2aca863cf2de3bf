"""Metrics that MONAI does not have."""

from medseg.metrics.cluster_overlap import MaskOverlapMetric, OracleClusterOverlapMetric
from medseg.metrics.millimeters import HausdorffMillimeters, SurfaceDiceMillimeters
from medseg.metrics.saliency import SaliencyMetric

__all__ = [
    "HausdorffMillimeters",
    "MaskOverlapMetric",
    "OracleClusterOverlapMetric",
    "SaliencyMetric",
    "SurfaceDiceMillimeters",
]
