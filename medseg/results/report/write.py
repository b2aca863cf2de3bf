import logging
import os
from datetime import datetime, timezone
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template

import ignite.distributed as idist

from medseg.errors import InputError
from medseg.files import atomic_write
from medseg.results.report.embedding import embedded
from medseg.results.report.gallery import shown_pictures
from medseg.results.report.page import body, title
from medseg.results.report.results import read_results

logger = logging.getLogger("medseg")


def write_report(output_dir: str | os.PathLike[str]) -> Path:
    """Write `report.html` into a results folder: one file that opens anywhere, without a network.

    It shows what there is: records and measurements of an inference run, tables of an evaluation, problems, and
    the pictures of the cases, made smaller where there are many.

    Args:
        output_dir: the `output_dir` of an inference or evaluation run.

    Returns:
        the file, which appears whole or not at all.

    Raises:
        InputError: the folder is missing or holds no results, or one of its tables is no table of medseg.
    """
    folder = Path(output_dir)
    results = read_results(folder)
    shown = shown_pictures(results)
    pictures = embedded([picture.picture for picture in shown])
    resources = files(__package__)
    parts = {name: resources.joinpath(f"report.{name}").read_text(encoding="utf-8") for name in ("html", "css", "js")}
    head = title(results)
    page = Template(parts["html"]).substitute(
        title=escape(head),
        date=results.date.strftime("%Y-%m-%d %H:%M UTC") if results.date else "date unknown",
        written=datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        style=parts["css"],
        script=parts["js"],
        body=body(results, shown, pictures),
    )
    target = folder / "report.html"
    with atomic_write(target) as path:
        path.write_text(page, encoding="utf-8")
    return target


def write_report_if(wanted: bool, output_dir: str | os.PathLike[str]) -> None:
    """Write the report at the end of a run whose config asks for it; the first of several processes does.

    Args:
        wanted: the config's switch; nothing is read without it.
        output_dir: the run's results. A folder without any, because every case failed, gets a warning and no report.
    """
    if not wanted or idist.get_rank() != 0:
        return
    try:
        logger.info("Wrote %s", write_report(output_dir))
    except InputError as error:
        logger.warning("No report: %s", error)
