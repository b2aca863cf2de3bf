"""Finding the DICOM series of a folder, a tree of folders or a zip."""

import os
import re
import warnings
import zipfile
from collections import Counter
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from monai.config import PathLike
from monai.utils import optional_import

from medseg.data.dicom.container import Container, starts_as_dicom
from medseg.errors import InputError, missing_packages

__all__ = ["Header", "Series", "find_series", "holds_dicom", "is_series_path", "open_series", "require_dicom"]

pydicom, _ = optional_import("pydicom")

SERIES_SUFFIX = ".dicom"
_MARK = "@"
_SHORTEST_TAIL = 10  # characters of a SeriesInstanceUID by which a series is named
_LONGEST_NAME = 100

# all that is ever read to find, check and sort series: nothing of the patient
_TAGS = [
    *("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "SeriesNumber", "FrameOfReferenceUID", "Modality"),
    *("ImageType", "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "Rows", "Columns"),
    *("SamplesPerPixel", "NumberOfFrames", "RescaleSlope", "RescaleIntercept", "RescaleType"),
    *("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"),
]


class Header(NamedTuple):
    """A file of a series and the part of its header that `_TAGS` names."""

    file: str
    dataset: Any


class Series(NamedTuple):
    """The images of one SeriesInstanceUID in a folder or zip, in no order.

    ``name`` says which series is meant, without anything of the patient. ``broken`` are the files beside its images
    that begin as DICOM and cannot be read: one of them may be a slice of this series.
    """

    name: str
    uid: str
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
    return any(_is_zip(file) or _is_dicom(file) for file in files if file.is_file())


def is_series_path(path: PathLike) -> bool:
    """Whether `path` is one that :func:`find_series` made, or a folder, a zip or a DICOM file; nothing else is read."""
    path = Path(path)
    return _is_reference(path) or path.is_dir() or (path.is_file() and (_is_zip(path) or _is_dicom(path)))


def find_series(path: PathLike) -> list[dict[str, str]]:
    """List the image series of a DICOM file's folder, of a folder and all folders in it, or of a zip.

    Files that are not DICOM, and DICOM objects that are not images (reports, segmentations, DICOMDIR), are passed
    over. Of a single file only its own series is listed; of a DICOMDIR all series beside it.

    Args:
        path: a DICOM file, a folder, or a zip.

    Returns:
        ``{"image": FOLDER/@UID/NAME.dicom}`` per series, sorted by name: not a file but what
        :class:`medseg.data.VolumeReader` loads. ``FOLDER`` (or a zip) holds all of its images, ``UID`` is the end of
        its SeriesInstanceUID and ``NAME`` the name for its results, unique in the list and made of letters, digits,
        ``-`` and ``_``: the folders from `path` to its images or, if these are in `path` itself, the name of `path`;
        with the number of the series, and then the end of its UID, where that names several. Empty for no image.

    Raises:
        InputError: the extra `dicom` is missing, a zip cannot be read, or there are DICOM files but none can be
            read.
    """
    require_dicom()
    path = Path(path)
    root = path if path.is_dir() or _is_zip(path) else path.parent
    wanted = None if root == path else _series_of_file(path)
    places = [root] if root.is_file() else [root, *sorted(file for file in root.rglob("*.zip") if _is_zip(file))]
    found: list[tuple[Path, str, list[Header]]] = []
    broken: list[str] = []
    for place in places:
        with Container(place) as container:
            images, unreadable = _scan(container)
        broken += unreadable
        found += [(place, uid, headers) for uid, headers in images.items() if wanted in (None, uid)]
    if broken and not found:
        raise InputError(f"{path} holds DICOM files, but none can be read ({broken[0]}): copy them again.")
    names = _names([_stem(root, place, headers) for place, _, headers in found], found)
    items = [
        {"image": str(_folder(place, headers) / f"{_MARK}{_tail(uid, [f[1] for f in found])}" / (name + SERIES_SUFFIX))}
        for (place, uid, headers), name in zip(found, names, strict=True)
    ]
    return sorted(items, key=lambda item: Path(item["image"]).name)


def open_series(path: PathLike, container: Container) -> Series:
    """The series that a path of :func:`find_series` means, or the only one of a folder or zip.

    Args:
        path: as :func:`is_series_path` accepts.
        container: of :func:`container_of` that path.

    Raises:
        InputError: there is no such series, or the path names several.
    """
    path = Path(path)
    images, broken = _scan(container)
    tail = ""
    if _is_reference(path):
        tail = path.parent.name[len(_MARK) :]
    elif path.is_file() and not _is_zip(path):
        tail = _series_of_file(path) or ""
    matches = [uid for uid in images if uid.endswith(tail)]
    if len(matches) != 1:
        raise InputError(f"{container.path} holds {len(matches)} DICOM image series for {path.name}: give one series.")
    uid = matches[0]
    headers = images[uid]
    folders = {PurePosixPath(header.file).parent for header in headers}
    name = f"The series ...{uid[-_SHORTEST_TAIL:]} in {container.path}"
    return Series(name, uid, headers, [file for file in broken if PurePosixPath(file).parent in folders])


def container_of(path: PathLike) -> Container:
    """The folder or zip that a path of :func:`find_series`, a DICOM file, a folder or a zip stands for."""
    require_dicom()
    path = Path(path)
    if _is_reference(path):
        path = path.parent.parent
    elif path.is_file() and not _is_zip(path):
        path = path.parent
    if not path.exists():
        raise InputError(f"{path} does not exist: check its path.")
    return Container(path)


def _is_reference(path: Path) -> bool:
    return path.suffix == SERIES_SUFFIX and path.parent.name.startswith(_MARK)


def _is_zip(path: Path) -> bool:
    return path.suffix.lower() == ".zip" and zipfile.is_zipfile(path)


def _is_dicom(path: Path) -> bool:
    with open(path, "rb") as file:
        return starts_as_dicom(file)


def _scan(container: Container) -> tuple[dict[str, list[Header]], list[str]]:
    """The headers of all images by SeriesInstanceUID, copies left out, and the DICOM files that cannot be read."""
    images: dict[str, dict[str, Header]] = {}
    broken = []
    for file in container.names():
        try:
            dataset = _read_header(container, file)
            if dataset is not None:
                images.setdefault(str(dataset.SeriesInstanceUID), {}).setdefault(
                    str(dataset.SOPInstanceUID), Header(file, dataset)
                )
        except Exception:  # pydicom raises many kinds; their texts may hold values of the header
            broken.append(file)
    return {uid: list(headers.values()) for uid, headers in images.items()}, broken


def _read_header(container: Container, name: str) -> Any:
    """The header of an image, or None for another file; raises on what should be an image and is none."""
    with container.open(name) as file:
        if not starts_as_dicom(file):
            if name.lower().endswith(".dcm"):
                raise ValueError("no DICOM in a file of that suffix")
            return None
    with container.open(name) as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they quote values of the header
        dataset = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=_TAGS)
    kind = pydicom.uid.UID(dataset.file_meta.MediaStorageSOPClassUID)
    if "Image Storage" not in kind.name:
        return None
    if "Rows" not in dataset:
        raise ValueError("a header that ends too early")
    return dataset


def _series_of_file(path: Path) -> str | None:
    """SeriesInstanceUID of an image file; None for a DICOMDIR and what else is no image."""
    if not path.is_file() or not _is_dicom(path):
        raise InputError(f"{path} is neither a DICOM file nor a folder or zip of them: check its path.")
    try:
        dataset = _read_header(Container(path.parent), path.name)
    except Exception:
        raise InputError(f"{path} cannot be read: copy it again.") from None
    return None if dataset is None else str(dataset.SeriesInstanceUID)


def _inner_folder(headers: Sequence[Header]) -> str:
    """The deepest folder that holds all files of a series, relative to its container ('.' or nothing: itself)."""
    return os.path.commonpath([PurePosixPath(header.file).parent for header in headers])


def _folder(place: Path, headers: Sequence[Header]) -> Path:
    return place if place.is_file() else place / _inner_folder(headers)


def _stem(root: Path, place: Path, headers: Sequence[Header]) -> str:
    bare = place.with_suffix("") if place.is_file() else place
    outer = () if place == root else bare.relative_to(root).parts
    return _safe("_".join([*outer, *PurePosixPath(_inner_folder(headers)).parts]) or bare.resolve().name)


def _safe(text: str) -> str:
    return re.sub(r"[^\w-]+", "_", text).strip("_")[-_LONGEST_NAME:] or "series"


def _tail(uid: str, uids: Sequence[str]) -> str:
    """The end of `uid` that no other of `uids` has."""
    others = set(uids) - {uid}
    lengths = range(min(_SHORTEST_TAIL, len(uid)), len(uid))
    return next((uid[-n:] for n in lengths if not any(other.endswith(uid[-n:]) for other in others)), uid)


def _names(stems: Sequence[str], found: Sequence[tuple[Path, str, list[Header]]]) -> list[str]:
    """Unique names: the stem, else with the number of the series, else with the end of its UID as well."""
    names = list(stems)
    uids = [uid for _, uid, _ in found]
    additions = (
        [_safe(f"s{headers[0].dataset.get('SeriesNumber') or 0}") for _, _, headers in found],
        [_safe(_tail(uid, uids)) for uid in uids],
        [str(i) for i in range(len(found))],
    )
    for addition in additions:
        counts = Counter(name.casefold() for name in names)
        names = [
            name if counts[name.casefold()] == 1 else f"{name}_{extra}"
            for name, extra in zip(names, addition, strict=True)
        ]
    return names
