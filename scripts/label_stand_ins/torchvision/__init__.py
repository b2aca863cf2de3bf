"""Stands in where torchvision is not installed: MONAI Label imports one name of it, for a transform nobody uses."""
