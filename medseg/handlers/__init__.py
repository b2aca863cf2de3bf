"""Ignite handlers: plumbing around the metrics, checkpoints and pictures of a run."""

from medseg.handlers.case_pictures import CasePictures
from medseg.handlers.case_records import CaseRecords
from medseg.handlers.checkpoint_saver import AtomicCheckpointSaver
from medseg.handlers.mask_overlap import MaskOverlap
from medseg.handlers.metrics_table import MetricsTable
from medseg.handlers.oracle_cluster_overlap import OracleClusterOverlap
from medseg.handlers.saliency import SaliencyMetrics

__all__ = [
    "AtomicCheckpointSaver",
    "CasePictures",
    "CaseRecords",
    "MaskOverlap",
    "MetricsTable",
    "OracleClusterOverlap",
    "SaliencyMetrics",
]
