"""Engines that MONAI lacks."""

from medseg.engines.fault_tolerant_evaluator import FaultTolerantEvaluator

__all__ = ["FaultTolerantEvaluator"]
