"""DICOM series as volumes, and label maps as DICOM SEG. Needs the extra `dicom`; importing this does not."""

from __future__ import annotations

from medseg.data.dicom.reading import load_series
from medseg.data.dicom.segmentation import write_segmentation
from medseg.data.dicom.series import find_series, holds_dicom, is_series_path

__all__ = ["find_series", "holds_dicom", "is_series_path", "load_series", "write_segmentation"]
