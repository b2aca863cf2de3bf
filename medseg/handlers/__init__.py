"""Ignite handlers: plumbing around the metrics, checkpoints and pictures of a run."""

from medseg.handlers.case_pictures import CasePictures
from medseg.handlers.case_records import CaseRecords
from medseg.handlers.checkpoint_saver import AtomicCheckpointSaver
from medseg.handlers.cluster_overlap import MaskOverlap, OracleClusterOverlap
from medseg.handlers.gradient_clipper import GradientClipper
from medseg.handlers.metrics_table import MetricsTable
from medseg.handlers.overlay_sheet import OverlaySheet
from medseg.handlers.saliency import SaliencyMetrics
from medseg.handlers.weight_average import WeightAverage, copy_for_average

__all__ = [
    "AtomicCheckpointSaver",
    "CasePictures",
    "CaseRecords",
    "GradientClipper",
    "MaskOverlap",
    "MetricsTable",
    "OracleClusterOverlap",
    "OverlaySheet",
    "SaliencyMetrics",
    "WeightAverage",
    "copy_for_average",
]
