"""Inferers that MONAI does not have."""

from __future__ import annotations

from medseg.inferers.self_clustering import ClusteringReport, SelfClusteringInferer

__all__ = ["ClusteringReport", "SelfClusteringInferer"]
