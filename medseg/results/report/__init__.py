"""One self-contained HTML page about a results folder: `python -m medseg report OUTPUT_DIR`."""

from medseg.results.report.write import write_report, write_report_if

__all__ = ["write_report", "write_report_if"]
