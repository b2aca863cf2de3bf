"""DICOM series as volumes; `segmentation` writes label maps as DICOM SEG. Needs the extra `dicom` when called only."""

from medseg.data.dicom.reading import load_series
from medseg.data.dicom.series import find_series, holds_dicom, is_series_path

__all__ = ["find_series", "holds_dicom", "is_series_path", "load_series"]
