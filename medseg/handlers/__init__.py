"""Ignite handlers: plumbing around the metrics, checkpoints and pictures of a run."""

from medseg.handlers.case_pictures import CasePictures
from medseg.handlers.case_records import CaseRecords
from medseg.handlers.checkpoint_saver import AtomicCheckpointSaver
from medseg.handlers.column_metric import MaskOverlap, OracleClusterOverlap, SaliencyMetrics
from medseg.handlers.gradient_clipper import GradientClipper
from medseg.handlers.metrics_table import MetricsTable
from medseg.handlers.weight_average import WeightAverage, copy_for_average

__all__ = [
    "AtomicCheckpointSaver",
    "CasePictures",
    "CaseRecords",
    "GradientClipper",
    "MaskOverlap",
    "MetricsTable",
    "OracleClusterOverlap",
    "SaliencyMetrics",
    "WeightAverage",
    "copy_for_average",
]
