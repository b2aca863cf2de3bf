from medseg.metrics.cluster_overlap import MaskOverlapMetric, OracleClusterOverlapMetric
from medseg.metrics.measurements import SegmentMeasurement, measure_segments, slice_axis_of
from medseg.metrics.millimetres import HausdorffMillimetres, SurfaceDiceMillimetres
from medseg.metrics.saliency import SaliencyMetric

__all__ = [
    "HausdorffMillimetres",
    "MaskOverlapMetric",
    "OracleClusterOverlapMetric",
    "SaliencyMetric",
    "SegmentMeasurement",
    "SurfaceDiceMillimetres",
    "measure_segments",
    "slice_axis_of",
]
