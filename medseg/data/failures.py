"""Why one case has no result: one sentence for the user, a traceback for the developer."""

import re
import traceback
from errno import EDQUOT, ENOSPC, EROFS
from typing import NamedTuple

from medseg.data.dicom.series import place_of
from medseg.errors import InputError, causes
from medseg.files import case_name

_MAX_LENGTH = 200
# Python's own, CUDA's, and what PyTorch's CPU allocator says in a RuntimeError
_OUT_OF_MEMORY = re.compile(r"out of memory|not enough memory|can't allocate memory", re.IGNORECASE)
_DISK_FULL = (ENOSPC, EDQUOT, EROFS)


class CaseFailure(NamedTuple):
    """A case without a result: its name, its file, one sentence for the user and the traceback."""

    case: str
    source: str
    problem: str
    details: str


def check_name(source: str) -> None:
    """Refuse a file whose name is no UTF-8: records and tables could not contain it."""
    try:
        source.encode()
    except UnicodeEncodeError:
        raise InputError(f"{source} has a name that is no UTF-8: rename it.") from None


def describe_failure(source: str, error: BaseException) -> CaseFailure:
    """Say in one sentence why a case failed.

    Args:
        source: file of the case.
        error: what was raised. MONAI wraps the errors of transforms, so the cause chain is searched.
    """
    chain = list(causes(error))
    told = next((str(cause) for cause in chain if isinstance(cause, InputError)), None)
    first = chain[-1]
    if told is not None:
        problem = told if str(place_of(source)) in told else f"{source}: {told}"
    elif any(isinstance(cause, MemoryError) for cause in chain) or _OUT_OF_MEMORY.search(str(first)):
        problem = f"{source} needs more memory than there is: close other programs, or pass another device."
    else:
        reason = " ".join(str(first).split())[:_MAX_LENGTH]
        problem = f"{source} failed ({type(first).__name__}: {reason}): problems.json holds the details."
    details = "".join(traceback.format_exception(error))
    # names that are no UTF-8 have no place in a JSON file
    texts = (case_name(source), source, problem, details)
    return CaseFailure(*(text.encode("utf-8", "backslashreplace").decode() for text in texts))


def disk_full_error(error: BaseException) -> InputError | None:
    """The error that ends the run if `error` says that nothing more can be written, since every case would fail."""
    for cause in causes(error):
        # MONAI's SaveImage passes the errors of its writers on as text
        numbers = {int(number) for number in re.findall(r"\[Errno (\d+)\]", str(cause))}
        if numbers & set(_DISK_FULL) or (isinstance(cause, OSError) and cause.errno in _DISK_FULL):
            reason = next(line for line in reversed(str(cause).splitlines()) if line.strip())
            return InputError(f"Nothing more can be written ({reason}): make room, then run the same again to go on.")
    return None
