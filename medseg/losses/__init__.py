"""Losses that MONAI does not have."""

from medseg.losses.mask_loss import IGNORED, MaskLoss
from medseg.losses.msformer import MSFormerLoss
from medseg.losses.pixelwise_dice_bce import PixelwiseDiceBCELoss
from medseg.losses.structure import StructureLoss

__all__ = ["IGNORED", "MSFormerLoss", "MaskLoss", "PixelwiseDiceBCELoss", "StructureLoss"]
