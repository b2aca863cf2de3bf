"""Writing the report of a results folder."""

import logging
import os
from datetime import datetime, timezone
from pathlib import Path

import ignite.distributed as idist
from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from medseg.errors import InputError
from medseg.files import atomic_write
from medseg.results.pictures import label_color
from medseg.results.report.embedding import LARGEST_PICTURES, embedded
from medseg.results.report.gallery import format_number, legend, shown_pictures
from medseg.results.report.page import counts, evaluation, facts, measurement_table, title
from medseg.results.report.reading import read_results

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
    pictures = embedded([one.file for one in shown])
    anchors = {one.file: f"case-{number}" for number, one in enumerate(shown) if one.file in pictures}
    made_with = facts(results)
    page = template("page.html").render(
        title=title(results),
        date=minute(results.date) if results.date else "date unknown",
        written=minute(datetime.now(timezone.utc)),
        results=results,
        counts=counts(results),
        evaluation=evaluation(results, anchors),
        measurements=measurement_table(results, anchors),
        legend=legend(results),
        shown=[
            {"case": one.case, "notes": one.notes, "anchor": anchors[one.file], "picture": pictures[one.file]}
            for one in shown
            if one.file in pictures
        ],
        left_out=sum(one.file not in pictures for one in shown),
        megabytes=LARGEST_PICTURES // 1_000_000,
        facts=made_with,
        mixed=any(len(values) > 1 for _head, values in made_with),
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


def template(name: str) -> Template:
    """A page's template, which escapes what it shows."""
    environment = Environment(
        loader=PackageLoader("medseg.results.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters.update(number=format_number, label_color=label_color)
    return environment.get_template(name)


def minute(date: datetime) -> str:
    """A date in UTC as text, to the minute."""
    return date.strftime("%Y-%m-%d %H:%M UTC")
