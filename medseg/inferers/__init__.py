"""Inferers that MONAI does not have."""

from medseg.inferers.autocast import AutocastInferer
from medseg.inferers.context_slices import ContextSliceInferer
from medseg.inferers.features import FeatureInferer
from medseg.inferers.self_clustering import ClusteringReport, SelfClusteringInferer

__all__ = ["AutocastInferer", "ClusteringReport", "ContextSliceInferer", "FeatureInferer", "SelfClusteringInferer"]
