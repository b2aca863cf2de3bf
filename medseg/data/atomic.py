"""Files that are written whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["replace_when_done"]


@contextmanager
def replace_when_done(path: Path, keep_suffix: bool = False) -> Iterator[Path]:
    """Write a file so that readers only ever see the old one or the whole new one.

    Gives a temporary path in the same folder (`.NAME.tmp`, which patterns such as `*.pt` do not match). When
    the block ends it is flushed to the disk and moved over `path`; when the block raises it is deleted and
    `path` is left alone. A process killed in between leaves the temporary file behind, which the next call
    overwrites.

    Args:
        path: the file to replace; its folder is made when missing.
        keep_suffix: give `.tmp.NAME` instead, for writers that take the format from the end of the name.

    Yields:
        The path to write to.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".tmp.{path.name}" if keep_suffix else f".{path.name}.tmp")
    try:
        yield temporary
        with open(temporary, "rb+") as written:
            os.fsync(written.fileno())  # or a power cut could leave an empty file under the new name
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
