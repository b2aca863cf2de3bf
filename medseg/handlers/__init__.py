"""Ignite handlers: plumbing around the metrics, checkpoints and pictures of a run."""

from medseg.handlers.case_pictures import CasePictures
from medseg.handlers.case_records import CaseRecords
from medseg.handlers.checkpoint_saver import AtomicCheckpointSaver
from medseg.handlers.column_metric import MaskOverlap, OracleClusterOverlap, SaliencyMetrics
from medseg.handlers.epoch_seed import EpochSeed
from medseg.handlers.gradient_clipper import GradientClipper
from medseg.handlers.metrics_table import MetricsTable
from medseg.handlers.resume_loader import ResumeLoader, check_resume
from medseg.handlers.weight_average import WeightAverage, copy_for_average

__all__ = [
    "AtomicCheckpointSaver",
    "CasePictures",
    "CaseRecords",
    "EpochSeed",
    "GradientClipper",
    "MaskOverlap",
    "MetricsTable",
    "OracleClusterOverlap",
    "ResumeLoader",
    "SaliencyMetrics",
    "WeightAverage",
    "check_resume",
    "copy_for_average",
]
