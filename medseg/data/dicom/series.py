"""Finding the DICOM series of a folder, a tree of folders or a zip."""

import os
import re
from collections import Counter
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from monai.config import PathLike

from medseg.data.dicom.container import Container, is_zip, starts_as_dicom
from medseg.data.dicom.headers import Header, looks_like, read_header
from medseg.data.input_types import shown
from medseg.errors import InputError, missing_packages

_SUFFIX = ".dicom"
_MARK = "@"
_SHORTEST_TAIL = 10  # characters of a SeriesInstanceUID by which a series is named
_LONGEST_NAME = 100
_LOST = "unreadable"  # in the place of a UID: the files of a folder or zip that belong to no series
_HEAD = 65_536  # bytes of a damaged file in which the UID of its series is looked for
_BINARY = re.compile(rb"[\x00-\x08\x0e-\x1f\x7f-\xff]")


class Series(NamedTuple):
    """The images of one SeriesInstanceUID in a folder or zip, in no order.

    `name` says which series is meant, without anything of the patient. `broken` are files that seem to be DICOM,
    cannot be read, and lie beside its images or contain its UID: one of them may be a slice of this series.
    """

    name: str
    headers: list[Header]
    broken: list[str]


class _Found(NamedTuple):
    place: Path  # folder or zip
    uid: str
    files: list[str]
    addition: str  # to a name that is not unique

    @property
    def inner_folder(self) -> str:
        """The deepest folder that holds all files, relative to the place ('.' or nothing: the place itself)."""
        return os.path.commonpath([PurePosixPath(file).parent for file in self.files or [""]])


class _Images(NamedTuple):
    headers: list[Header]
    broken: list[str]


def require_dicom() -> None:
    """Raise an `InputError` unless the packages of the extra `dicom` are installed."""
    if not (find_spec("pydicom") and find_spec("highdicom")):
        raise missing_packages("DICOM", "pydicom highdicom")


def holds_dicom(path: PathLike) -> bool:
    """Whether there is a DICOM file or a zip at `path` or, if it is a folder, somewhere in it."""
    path = Path(path)
    files = path.rglob("*") if path.is_dir() else iter([path])
    return any((is_zip(file) and file.stat().st_size > 0) or _is_dicom(file) for file in files if file.is_file())


def is_series_path(path: PathLike) -> bool:
    """Whether `path` comes from `find_series`, or is a folder, a zip or a DICOM file; nothing else is read."""
    path = Path(path)
    return _is_reference(path) or path.is_dir() or (path.is_file() and (is_zip(path) or _is_dicom(path)))


def find_series(path: PathLike) -> list[dict[str, str]]:
    """List the image series of a DICOM file's folder, of a folder and all folders in it, or of a zip.

    Files that are not DICOM, and DICOM objects that are not images (reports, segmentations, DICOMDIR), are ignored. Of
    a single file only its own series is listed; of a DICOMDIR all series beside it.

    Args:
        path: a DICOM file, a folder, or a zip.

    Returns:
        `{"image": FOLDER/@UID/NAME.dicom}` per series, sorted by name: not a file but what `VolumeReader` loads.
        `FOLDER` (or a zip) holds all of its images and `UID` is the end of its SeriesInstanceUID. `NAME` is the name
        for its results, unique in the list and made of letters, digits, `-` and `_`: the folders from `path` to its
        images or, if these are in `path` itself, the name of `path`; where that names several, the number of the series
        follows, and then the end of its UID. Empty if there is no image. Files that seem to be DICOM, cannot be read
        and belong to no series are an item for each folder or zip, so that loading it names them.

    Raises:
        InputError: The extra `dicom` is missing, a zip cannot be read, or there are DICOM files but none can be read.
    """
    require_dicom()
    path = Path(path)
    root = path if path.is_dir() or is_zip(path) else path.parent
    wanted = None if root == path else _series_of_file(path)
    places = [root] if root.is_file() else [root, *sorted(file for file in root.rglob("*.zip") if is_zip(file))]
    found: list[_Found] = []
    lost: list[_Found] = []
    for place in places:
        try:
            with Container(place) as container:
                images, orphans = _scan(container)
        except InputError:
            if place == root:
                raise
            lost.append(_Found(place, _LOST, [], _LOST))
            continue
        folders = {"" if place.is_file() else str(PurePosixPath(file).parent) for file in orphans}
        lost += [_Found(place, _LOST, [f"{folder}/{_MARK}"], _LOST) for folder in sorted(folders)]
        found += [
            _Found(place, uid, [*(header.file for header in headers), *broken], f"s{headers[0].series_number}")
            for uid, (headers, broken) in images.items()
            if wanted in (None, uid)
        ]
    if not found and any(series.files or series.place.stat().st_size for series in lost):
        raise InputError(f"{path} holds DICOM files, but none can be read: copy them again.")
    if found and wanted is None:
        found += lost
    tails = _tails([series.uid for series in found])
    items = [
        {"image": str(_folder(series) / f"{_MARK}{tail}" / (name + _SUFFIX))}
        for series, tail, name in zip(found, tails, _names(root, found, tails), strict=True)
    ]
    return sorted(items, key=lambda item: Path(item["image"]).name)


def open_series(path: PathLike, container: Container) -> Series:
    """The series that a path of `find_series` means, or the only one of a folder or zip.

    Args:
        path: as `is_series_path` accepts.
        container: of `container_of` that path.

    Raises:
        InputError: There is no such series, or the path names several.
    """
    path = Path(path)
    images, orphans = _scan(container)
    tail = ""
    if _is_reference(path):
        tail = path.parent.name[len(_MARK) :]
    elif path.is_file() and not is_zip(path):
        tail = _series_of_file(path) or ""
    if tail == _LOST:
        names = [file for file in orphans if container.path.is_file() or PurePosixPath(file).parent == PurePosixPath()]
        raise InputError(
            f"{container.path} holds {len(names)} files that seem to be DICOM and cannot be read ({shown(names)}): "
            "copy them again or move them away."
        )
    matches = [uid for uid in images if uid.endswith(tail)]
    if len(matches) != 1:
        raise InputError(f"{container.path} holds {len(matches)} DICOM image series for {path.name}: give one series.")
    return Series(f"The series ...{matches[0][-_SHORTEST_TAIL:]} in {container.path}", *images[matches[0]])


def place_of(path: PathLike) -> Path:
    """The folder or zip of a series that `find_series` listed; any other path itself."""
    path = Path(path)
    return path.parent.parent if _is_reference(path) else path


def container_of(path: PathLike) -> Container:
    """The folder or zip that a path of `find_series`, a DICOM file, a folder or a zip stands for."""
    require_dicom()
    path = place_of(path)
    if path.is_file() and not is_zip(path):
        path = path.parent
    if not path.exists():
        raise InputError(f"{path} does not exist: check its path.")
    return Container(path)


def _is_reference(path: Path) -> bool:
    return path.suffix == _SUFFIX and path.parent.name.startswith(_MARK)


def _is_dicom(path: Path) -> bool:
    try:
        with open(path, "rb") as file:
            return starts_as_dicom(file)
    except OSError:
        return False


def _scan(container: Container) -> tuple[dict[str, _Images], list[str]]:
    """All images by SeriesInstanceUID, copies left out, and the files that cannot be read and belong to none of them.

    A file that is not DICOM counts as damaged if it has the suffix of images beside it and is not text.
    """
    images: dict[str, dict[str, Header]] = {}
    broken, others, looks = [], [], set()
    for file in container.names():
        try:
            header = read_header(container, file)
        except Exception:  # pydicom raises many kinds; their texts may hold values of the header
            broken.append(file)
            continue
        if header is None:
            others.append(file)
            continue
        looks.add(_folder_and_look(file))
        first = images.setdefault(header.series_uid, {}).setdefault(header.instance_uid, header)
        if not _is_copy(first, header):
            broken.append(file)
    broken += [file for file in others if _folder_and_look(file) in looks and _is_damaged(container, file)]
    heads = {file: _head(container, file, _HEAD) for file in broken}
    found = {}
    for uid, headers in images.items():
        folders = {PurePosixPath(header.file).parent for header in headers.values()}
        own = [file for file in broken if PurePosixPath(file).parent in folders or uid.encode() in heads[file]]
        found[uid] = _Images(list(headers.values()), own)
    return found, [file for file in broken if not any(file in series.broken for series in found.values())]


def _folder_and_look(file: str) -> tuple[PurePosixPath, str]:
    return PurePosixPath(file).parent, looks_like(file)


def _is_copy(first: Header, second: Header) -> bool:
    """Whether two files of one SOPInstanceUID say the same; values are compared as text, because NaN is not itself."""
    planes = [[plane._replace(file="") for plane in header.planes or ()] for header in (first, second)]
    return str(planes[0]) == str(planes[1])


def _is_damaged(container: Container, file: str) -> bool:
    """Whether a file that is no image is neither DICOM nor text."""
    head = _head(container, file, 1024)
    return head[128:132] != b"DICM" and (not head or _BINARY.search(head) is not None)


def _head(container: Container, file: str, size: int) -> bytes:
    try:
        with container.open(file) as opened:
            return opened.read(size)
    except Exception:  # of a folder, of permissions, of a damaged zip
        return b""


def _series_of_file(path: Path) -> str | None:
    """SeriesInstanceUID of an image file; None for a DICOMDIR and what else is no image."""
    if not path.is_file() or not _is_dicom(path):
        raise InputError(f"{path} is neither a DICOM file nor a folder or zip of them: check its path.")
    try:
        header = read_header(Container(path.parent), path.name)
    except Exception:
        raise InputError(f"{path} cannot be read: copy it again.") from None
    return None if header is None else header.series_uid


def _folder(series: _Found) -> Path:
    return series.place if series.place.is_file() else series.place / series.inner_folder


def _tails(uids: Sequence[str]) -> list[str]:
    """The end of each UID that no other has."""
    return [
        next((uid[-n:] for n in range(min(_SHORTEST_TAIL, len(uid)), len(uid)) if _is_only(uid[-n:], uids)), uid)
        for uid in uids
    ]


def _is_only(tail: str, uids: Sequence[str]) -> bool:
    return sum(uid.endswith(tail) for uid in set(uids)) == 1


def _names(root: Path, found: Sequence[_Found], tails: Sequence[str]) -> list[str]:
    """Unique names: by folder, else with the number of the series, else with the end of its UID as well."""
    names = [_folder_name(root, series) for series in found]
    additions = (
        [_safe(series.addition) for series in found],
        [_safe(tail) for tail in tails],
        [str(i) for i in range(len(found))],
    )
    for addition in additions:
        counts = Counter(name.casefold() for name in names)
        names = [
            name if counts[name.casefold()] == 1 else f"{name}_{extra}"
            for name, extra in zip(names, addition, strict=True)
        ]
    return names


def _folder_name(root: Path, series: _Found) -> str:
    bare = series.place.with_suffix("") if series.place.is_file() else series.place
    outer = () if series.place == root else bare.relative_to(root).parts
    return _safe("_".join([*outer, *PurePosixPath(series.inner_folder).parts]) or bare.absolute().name)


def _safe(text: str) -> str:
    return re.sub(r"[^\w-]+", "_", text).strip("_")[-_LONGEST_NAME:] or "series"
