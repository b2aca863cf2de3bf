"""Losses that MONAI does not have."""

from medseg.losses.msformer import MSFormerLoss
from medseg.losses.pixelwise_dice_bce import PixelwiseDiceBCELoss
from medseg.losses.structure import StructureLoss

__all__ = ["MSFormerLoss", "PixelwiseDiceBCELoss", "StructureLoss"]
