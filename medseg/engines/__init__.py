"""Engines that MONAI lacks."""

from __future__ import annotations

from medseg.engines.case_evaluator import CaseEvaluator

__all__ = ["CaseEvaluator"]
