"""The files of a folder or of a zip, by one interface."""

import os
import zipfile
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import IO

from medseg.errors import InputError

# a compressed CT is rarely below a twentieth of its size; what exceeds both limits is made to fill the memory
_MAX_UNPACKED = 2**30  # bytes
_MAX_RATIO = 100


class Container:
    """A folder with all folders in it, or a zip, whose files are read in place: nothing is unpacked to the disk.

    Use it in a `with` block.

    Args:
        path: the folder or zip.

    Raises:
        InputError: On entry, if the zip is damaged, encrypted, or declares over 1 GiB in a hundredth of that.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._archive: zipfile.ZipFile | None = None

    def __enter__(self) -> "Container":
        if self.path.is_file():
            try:
                self._archive = zipfile.ZipFile(self.path)
            except Exception:  # damaged tables raise many kinds
                raise InputError(f"{self.path} is not a readable zip: pack it again.") from None
            members = self._archive.infolist()
            unpacked = sum(member.file_size for member in members)
            fault = "is encrypted" if any(member.flag_bits & 1 for member in members) else ""
            if unpacked > max(_MAX_UNPACKED, _MAX_RATIO * self.path.stat().st_size):
                fault = f"declares {unpacked / 2**30:.1f} GiB, over {_MAX_RATIO} times its own size"
            if fault:
                self._archive.close()
                raise InputError(f"{self.path} {fault}: unpack it and give the folder.")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._archive is not None:
            self._archive.close()

    def names(self) -> list[str]:
        """The files, and folders that cannot be listed, relative to the container, sorted; hidden ones are left out."""
        if self._archive is None:
            unlisted: list[OSError] = []
            walked = list(os.walk(self.path, onerror=unlisted.append))
            paths = [os.path.join(folder, file) for folder, _, files in walked for file in files]
            paths += [str(error.filename) for error in unlisted]
            found = [Path(path).relative_to(self.path).as_posix() for path in paths]
        else:
            found = [member.filename for member in self._archive.infolist() if not member.is_dir()]
        return sorted(name for name in found if not _is_hidden(name))

    def open(self, name: str) -> IO[bytes]:
        """Open one of `names` for reading."""
        if self._archive is None:
            return open(self.path / name, "rb")
        return self._archive.open(name)

    def state(self, name: str) -> tuple[str, str, int, int]:
        """A key that changes when one of `names` changes: file on the disk, member of the zip, size and time."""
        file = (self.path if self._archive is not None else self.path / name).absolute()
        stat = file.stat()
        return str(file), name if self._archive is not None else "", stat.st_size, stat.st_mtime_ns


def is_zip(path: Path) -> bool:
    """Whether a file is a zip by its suffix; it may be damaged."""
    return path.suffix.lower() == ".zip" and path.is_file()


def starts_as_dicom(file: IO[bytes]) -> bool:
    """Whether a file begins as DICOM part 10 says: 128 bytes of anything and the letters DICM."""
    return file.read(132)[128:] == b"DICM"


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in PurePosixPath(name).parts)
