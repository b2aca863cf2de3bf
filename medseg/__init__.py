"""SSFormer and MS-Former for medical image segmentation, as MONAI networks and bundles."""

from __future__ import annotations

__version__ = "0.1.0"

# a config's `$import medseg` must reach them all
from . import data, handlers, inferers, losses, metrics, networks, report, tensorrt, transforms, workflow

__all__ = [
    "data",
    "handlers",
    "inferers",
    "losses",
    "metrics",
    "networks",
    "report",
    "tensorrt",
    "transforms",
    "workflow",
]
