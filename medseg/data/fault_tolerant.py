"""A dataset in which one case that fails does not stop the others, and the sentences that say why one did."""

import re
import traceback
from collections.abc import Iterator
from errno import EDQUOT, ENOSPC, EROFS
from typing import Any, NamedTuple

import torch
from monai.data import Dataset

from medseg.errors import InputError
from medseg.files import case_name

__all__ = ["CaseFailure", "FaultTolerantDataset", "describe_failure", "disk_full_error"]

_LONGEST = 200
# Python's own, CUDA's, and what PyTorch's CPU allocator says in a RuntimeError
_MEMORY = re.compile(r"out of memory|not enough memory|can't allocate memory", re.IGNORECASE)
_DISK = (ENOSPC, EDQUOT, EROFS)


class CaseFailure(NamedTuple):
    """Why one case has no result: its name, its file, one sentence for the user and a traceback for us."""

    case: str
    source: str
    problem: str
    details: str


class FaultTolerantDataset(Dataset):
    """MONAI's ``Dataset``, but an item whose transform fails is a :class:`CaseFailure`, not an exception.

    An exception in the thread of MONAI's ``ThreadDataLoader`` would end the run early without an error. Give the
    loader ``collate_fn=monai.data.utils.no_collation`` and run it with :class:`medseg.engines.FaultTolerantEvaluator`.

    Args:
        data: items, dicts whose ``image`` is the path of the file.
        transform: what turns an item into tensors.
    """

    def _transform(self, index: int) -> Any:
        try:
            return super()._transform(index)
        except Exception as error:
            return describe_failure(str(self.data[index]["image"]), error)


def describe_failure(source: str, error: BaseException) -> CaseFailure:
    """Tell in one sentence why a case failed.

    Args:
        source: file of the case.
        error: what was raised; MONAI wraps errors of transforms, so that the chain of causes is searched.
    """
    causes = list(_causes(error))
    told = next((str(cause) for cause in causes if isinstance(cause, InputError)), None)
    first = causes[-1]
    if told is not None:
        problem = told if source in told else f"{source}: {told}"
    elif any(isinstance(cause, MemoryError | torch.cuda.OutOfMemoryError) for cause in causes) or _MEMORY.search(
        str(first)
    ):
        problem = f"{source} needs more memory than there is: close other programs, or pass another device."
    else:
        reason = " ".join(str(first).split())[:_LONGEST]
        problem = f"{source} failed ({type(first).__name__}: {reason}): problems.json holds the details."
    details = "".join(traceback.format_exception(error))
    return CaseFailure(case_name(source), source, problem, details)


def disk_full_error(error: BaseException) -> InputError | None:
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
