"""Ignite handlers: plumbing around the metrics, checkpoints and pictures of a run."""

from medseg.handlers.case_pictures import CasePictures
from medseg.handlers.case_records import CaseRecords
from medseg.handlers.checkpoint_saver import AtomicCheckpointSaver
from medseg.handlers.cluster_overlap import MaskOverlap, OracleClusterOverlap
from medseg.handlers.metrics_table import MetricsTable
from medseg.handlers.overlay_sheet import OverlaySheet
from medseg.handlers.saliency import SaliencyMetrics

__all__ = [
    "AtomicCheckpointSaver",
    "CasePictures",
    "CaseRecords",
    "MaskOverlap",
    "MetricsTable",
    "OracleClusterOverlap",
    "OverlaySheet",
    "SaliencyMetrics",
]
