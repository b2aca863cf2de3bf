"""What goes out: writers, DICOM SEG, records, measurements, tables, pictures, the report and the results folder."""

from medseg.results.failures import finish_run
from medseg.results.folder import ResultsFolder
from medseg.results.measurements import measure_segments, slice_axis_of
from medseg.results.report.write import write_report, write_report_if
from medseg.results.segment_measurement import SegmentMeasurement
from medseg.results.tables import write_measurement_tables
from medseg.results.writers import PictureWriter, VolumeWriter

__all__ = [
    "PictureWriter",
    "ResultsFolder",
    "SegmentMeasurement",
    "VolumeWriter",
    "finish_run",
    "measure_segments",
    "slice_axis_of",
    "write_measurement_tables",
    "write_report",
    "write_report_if",
]
