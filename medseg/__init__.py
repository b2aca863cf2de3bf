"""SSFormer and MS-Former for medical image segmentation, as MONAI networks and bundles."""

__version__ = "0.1.0"
