"""The embedded default data: pictures and volumes drawn from random numbers, for a first run without a download."""

from medseg.phantoms.lesion import lesion_phantom
from medseg.phantoms.lung import lung_phantom
from medseg.phantoms.lung_volume import VolumePhantom, lung_volume_phantom
from medseg.phantoms.polyp import polyp_phantom
from medseg.phantoms.write import PHANTOMS, VOLUME_PHANTOMS, write_phantoms

__all__ = [
    "PHANTOMS",
    "VOLUME_PHANTOMS",
    "VolumePhantom",
    "lesion_phantom",
    "lung_phantom",
    "lung_volume_phantom",
    "polyp_phantom",
    "write_phantoms",
]
