"""Metrics that MONAI does not have."""

from medseg.metrics.column_metric import ColumnMetric, MetricColumn
from medseg.metrics.hausdorff_millimeters import HausdorffMillimeters
from medseg.metrics.mask_overlap import MaskOverlapMetric
from medseg.metrics.oracle_cluster_overlap import OracleClusterOverlapMetric
from medseg.metrics.saliency import SaliencyMetric
from medseg.metrics.surface_dice_millimeters import SurfaceDiceMillimeters

__all__ = [
    "ColumnMetric",
    "HausdorffMillimeters",
    "MaskOverlapMetric",
    "MetricColumn",
    "OracleClusterOverlapMetric",
    "SaliencyMetric",
    "SurfaceDiceMillimeters",
]
