"""SSFormer and MS-Former for medical image segmentation, as MONAI networks and bundles."""

from importlib import import_module
from types import ModuleType

__version__ = "0.1.0"

_PACKAGES = (
    "bundle",
    "data",
    "engines",
    "handlers",
    "inferers",
    "losses",
    "metrics",
    "networks",
    "phantoms",
    "results",
    "transforms",
)

__all__ = ["__version__", *_PACKAGES]


def __getattr__(name: str) -> ModuleType:
    """Import a package on first use (PEP 562): `import medseg` alone loads neither PyTorch nor MONAI."""
    if name in _PACKAGES:
        return import_module(f"medseg.{name}")
    raise AttributeError(f"module 'medseg' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted(__all__)
