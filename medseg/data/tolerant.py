"""A dataset and its collation in which one case that fails does not stop the others."""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterator, Sequence
from errno import EDQUOT, ENOSPC, EROFS
from typing import Any, NamedTuple

import torch
from monai.data import Dataset, list_data_collate
from monai.data.utils import create_file_basename

from medseg.data.errors import InputError

__all__ = ["CaseBatch", "CaseProblem", "TolerantDataset", "case_name", "collate_cases", "disk_trouble", "problem_of"]

_LONGEST = 200
# Python's own, CUDA's, and what PyTorch's CPU allocator says in a RuntimeError
_MEMORY = re.compile(r"out of memory|not enough memory|can't allocate memory", re.IGNORECASE)
_DISK = (ENOSPC, EDQUOT, EROFS)


class CaseProblem(NamedTuple):
    """Why one case has no result: its name, its file, one sentence for the user and a traceback for us."""

    case: str
    source: str
    problem: str
    details: str


class CaseBatch(NamedTuple):
    """What a data loader with :func:`collate_cases` gives: batches to run, and the cases that failed before."""

    batches: list[dict[str, Any]]
    problems: list[CaseProblem]


class TolerantDataset(Dataset):
    """MONAI's ``Dataset``, but an item whose transform fails is a :class:`CaseProblem`, not an exception.

    An exception in the thread of MONAI's ``ThreadDataLoader`` would end the run early without an error. Give the
    loader ``collate_fn=medseg.data.collate_cases`` and run it with :class:`medseg.engines.CaseEvaluator`.

    Args:
        data: items, dicts whose ``image`` is the path of the file.
        transform: what turns an item into tensors.
    """

    def _transform(self, index: int) -> Any:
        try:
            return super()._transform(index)
        except Exception as error:
            return problem_of(self.data[index]["image"], error)


def collate_cases(items: Sequence[dict[str, Any] | CaseProblem]) -> CaseBatch:
    """Collate the cases that can be, and pass the failed ones on.

    Cases that do not fit into one batch, because their shapes differ for instance, become batches of one.

    Args:
        items: of a :class:`TolerantDataset`.
    """
    problems = [item for item in items if isinstance(item, CaseProblem)]
    cases = [item for item in items if not isinstance(item, CaseProblem)]
    try:
        return CaseBatch([list_data_collate(cases)] if cases else [], problems)
    except Exception:  # MONAI and PyTorch raise several kinds here
        return CaseBatch([list_data_collate([case]) for case in cases], problems)


def case_name(source: object) -> str:
    """The name under which MONAI's ``SaveImage`` saves what was made of the file ``source``: no folder, no suffix."""
    return create_file_basename("", str(source), "", separate_folder=False, makedirs=False)


def problem_of(source: object, error: BaseException) -> CaseProblem:
    """Tell in one sentence why a case failed.

    Args:
        source: file of the case.
        error: what was raised; MONAI wraps errors of transforms, so that the chain of causes is searched.
    """
    causes = list(_causes(error))
    told = next((str(cause) for cause in causes if isinstance(cause, InputError)), None)
    first = causes[-1]
    if told is not None:
        problem = told if str(source) in told else f"{source}: {told}"
    elif any(isinstance(cause, MemoryError | torch.cuda.OutOfMemoryError) for cause in causes) or _MEMORY.search(
        str(first)
    ):
        problem = f"{source} needs more memory than there is: close other programs, or pass another device."
    else:
        reason = " ".join(str(first).split())[:_LONGEST]
        problem = f"{source} failed ({type(first).__name__}: {reason}): problems.json holds the details."
    details = "".join(traceback.format_exception(error))
    return CaseProblem(case_name(source), str(source), problem, details)


def disk_trouble(error: BaseException) -> InputError | None:
    """The error to end the run with if ``error`` says that nothing more can be written, as all cases would fail."""
    for cause in _causes(error):
        # MONAI's SaveImage passes the errors of its writers on as text
        numbers = {int(number) for number in re.findall(r"\[Errno (\d+)\]", str(cause))}
        if numbers & set(_DISK) or (isinstance(cause, OSError) and cause.errno in _DISK):
            reason = next(line for line in reversed(str(cause).splitlines()) if line.strip())
            return InputError(f"Nothing more can be written ({reason}): make room, then run the same again to go on.")
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
