"""Files that are written whole or not at all, and the names of cases."""

import hashlib
import os
import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from monai.data.utils import create_file_basename
from monai.utils import ImageMetaKey

from medseg.errors import InputError


@contextmanager
def atomic_write(path: Path, keep_suffix: bool = False) -> Iterator[Path]:
    """Write a file so that readers only ever see the old one or the whole new one.

    Gives a temporary path in the same folder (`.RANDOM.tmp`, which patterns such as `*.pt` do not match). When
    the block ends it is flushed to the disk and moved over `path`; when the block raises it is deleted and
    `path` is left alone. Of several processes that write the same file the last one wins. A process killed in between
    leaves the temporary file behind.

    Args:
        path: the file to replace; its folder is made when missing.
        keep_suffix: give `.RANDOM.tmp.SUFFIX` instead, for writers that take the format from the end of the name.

    Yields:
        The path to write to.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    suffix = re.search(r"(\.nii)?\.\w+$", path.name) if keep_suffix else None
    # not longer than a name may be, whatever the length of `path`'s
    temporary = path.with_name(f".{secrets.token_hex(6)}.tmp{suffix[0] if suffix else ''}")
    try:
        yield temporary
        with open(temporary, "rb+") as written:
            os.fsync(written.fileno())  # or a power cut could leave an empty file under the new name
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def case_source(meta: Mapping[str, Any]) -> str:
    """The file or folder that an image was read from.

    Args:
        meta: metadata of the image's MetaTensor.

    Raises:
        InputError: if the image knows no file.
    """
    if ImageMetaKey.FILENAME_OR_OBJ not in meta:
        raise InputError("An image knows no file that it was read from: load the images with LoadImaged.")
    return str(meta[ImageMetaKey.FILENAME_OR_OBJ])


def case_name(source: str | Path) -> str:
    """The name that MONAI's `SaveImaged` gives a result of `source`, without folder and suffix.

    Args:
        source: the file, as `scans/a.nii.gz` (case `a`), or folder that the image was read from.
    """
    return Path(create_file_basename("", source, "", separate_folder=False, makedirs=False)).name


def file_sha256(path: str | Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal; the file is read piece by piece."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while piece := file.read(2**20):
            digest.update(piece)
    return digest.hexdigest()
