"""The end of a run in which some cases failed."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from medseg.data.fault_tolerant import CaseFailure
from medseg.errors import InputError
from medseg.files import atomic_write, case_name

__all__ = ["raise_failures", "write_failures"]

_PROBLEMS_FILE = "problems.json"
_PROBLEMS_SHOWN = 20


def write_failures(
    items: Sequence[Mapping[str, str]],
    unreadable: Sequence[str],
    failed: Sequence[CaseFailure],
    output_dir: str | os.PathLike[str],
) -> None:
    """Write `problems.json`, a list of `{"case", "source", "problem", "details"}`; nothing if there is no problem.

    Args:
        items: the cases of this run.
        unreadable: a sentence for each that could not be read, which names its file.
        failed: those that failed later.
        output_dir: folder of the results.
    """
    problems = _problems(items, unreadable, failed)
    if problems:
        with atomic_write(Path(output_dir) / _PROBLEMS_FILE) as temporary:
            content = json.dumps([problem._asdict() for problem in problems], indent=2, ensure_ascii=False)
            temporary.write_text(content + "\n", encoding="utf-8")


def raise_failures(
    items: Sequence[Mapping[str, str]],
    unreadable: Sequence[str],
    failed: Sequence[CaseFailure],
    output_dir: str | os.PathLike[str],
) -> None:
    """Raise an `InputError` that lists the cases without a result, so that the status is 1, if there are any.

    It comes last: after :func:`write_failures`, which takes the same arguments, and after the report.
    """
    problems = _problems(items, unreadable, failed)
    if not problems:
        return
    lines = [f"- {problem.problem}" for problem in problems[:_PROBLEMS_SHOWN]]
    if len(problems) > _PROBLEMS_SHOWN:
        lines.append(f"- and {len(problems) - _PROBLEMS_SHOWN} more")
    place = Path(output_dir) / _PROBLEMS_FILE
    raise InputError("\n".join([f"{len(problems)} of {len(items)} cases failed, listed in {place}:", *lines]))


def _problems(
    items: Sequence[Mapping[str, str]], unreadable: Sequence[str], failed: Sequence[CaseFailure]
) -> list[CaseFailure]:
    return [_unreadable(items, sentence) for sentence in unreadable] + list(failed)


def _unreadable(items: Sequence[Mapping[str, str]], sentence: str) -> CaseFailure:
    named = [str(item["image"]) for item in items if str(item["image"]) in sentence]
    source = max(named, key=len, default="")
    return CaseFailure(case_name(source), source, sentence, details="")
