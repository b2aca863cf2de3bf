"""The end of a run in which some cases failed."""

import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from medseg.data.failures import CaseFailure
from medseg.errors import InputError
from medseg.files import atomic_write, case_name
from medseg.results.folder import FAILURES_FILE, ResultsFolder
from medseg.results.report import write_report_if

_MAX_SHOWN = 20


def finish_run(
    failures: Sequence[CaseFailure],
    cases: Sequence[Mapping[str, str]],
    output_dir: str | os.PathLike[str],
    report: bool = False,
) -> None:
    """Write `problems.json`, a list of `{"case", "source", "problem", "details"}`, then the report, then raise.

    A case without a failure whose mask or record is not in the folder has failed too: somebody removed it during the
    run. Nothing is written about failures if there are none.

    Args:
        failures: one per case without a result.
        cases: the cases of this run.
        output_dir: folder of the results.
        report: whether to write `report.html`.

    Raises:
        InputError: some cases failed, so that the exit status is 1; the message lists them.
    """
    lost = "was segmented, but its results are gone from the output folder: run the same again."
    known = {failure.source for failure in failures}
    gone = [case["image"] for case in ResultsFolder(output_dir, "", {}).pending(cases) if case["image"] not in known]
    failures = [*failures, *(CaseFailure(case_name(file), file, f"{file} {lost}", "") for file in gone)]
    place = Path(output_dir) / FAILURES_FILE
    if failures:
        with atomic_write(place) as temporary:
            content = json.dumps([failure._asdict() for failure in failures], indent=2, ensure_ascii=False)
            temporary.write_text(content + "\n", encoding="utf-8")
    write_report_if(report, output_dir)
    if failures:
        lines = ["- " + re.sub(r"\s*\n\s*", " ", failure.problem) for failure in failures[:_MAX_SHOWN]]
        if len(failures) > _MAX_SHOWN:
            lines.append(f"- and {len(failures) - _MAX_SHOWN} more")
        raise InputError("\n".join([f"{len(failures)} of {len(cases)} cases failed, listed in {place}:", *lines]))
