"""DICOM series as volumes. Nothing here needs the extra `dicom` until it is called."""

from medseg.data.dicom.reading import load_series
from medseg.data.dicom.series import find_series, holds_dicom, is_series_path

__all__ = ["find_series", "holds_dicom", "is_series_path", "load_series"]
