import errno

import pytest
import torch

from medseg.data import describe_failure, disk_full_error
from medseg.errors import InputError

FILE = "/in/a b.nii.gz"


def wrapped(error: Exception) -> RuntimeError:
    """As MONAI wraps the error of a transform."""
    try:
        try:
            raise error
        except Exception as cause:
            raise RuntimeError("applying transform <SaveImaged>") from cause
    except RuntimeError as outer:
        return outer


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (InputError(f"{FILE} has 4 axes: give a volume of three."), f"{FILE} has 4 axes: give a volume of three."),
        (InputError("The mask has another size."), f"{FILE}: The mask has another size."),
        (MemoryError(), f"{FILE} needs more memory than there is"),
        (torch.cuda.OutOfMemoryError("CUDA out of memory. Tried"), f"{FILE} needs more memory than there is"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), f"{FILE} needs more memory"),
        (KeyError("image"), f"{FILE} failed (KeyError: 'image'): problems.json holds the details."),
    ],
)
def test_one_sentence(error: Exception, sentence: str) -> None:
    found = describe_failure(FILE, wrapped(error))
    assert found.problem.startswith(sentence)
    assert "\n" not in found.problem
    assert (found.case, found.source) == ("a b", FILE)
    assert "applying transform <SaveImaged>" in found.details


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS])
def test_a_disk_that_takes_no_more(number: int) -> None:
    error = disk_full_error(wrapped(OSError(number, "told by the system")))
    assert "told by the system" in str(error)
    assert disk_full_error(wrapped(RuntimeError(f"no suitable writer\nOSError: [Errno {number}] full"))) is not None


@pytest.mark.parametrize("error", [FileNotFoundError(errno.ENOENT, "gone"), ValueError("28"), MemoryError()])
def test_what_is_no_matter_of_the_disk(error: Exception) -> None:
    assert disk_full_error(wrapped(error)) is None
