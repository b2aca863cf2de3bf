"""Every file that claims or seems to be DICOM is used or named."""

import logging
import os
import shutil
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dicom_files import AXIAL, nifti_affine, slices_of, with_text, write_slices
from monai.transforms import Compose, LoadImaged

from medseg.data import CaseFailure, FaultTolerantDataset, VolumeReader, find_volumes

CLASS = b"1.2.840.10008.5.1.4.1.1.2\0"


def write_series(folder: Path, change: Callable[[int, Any], Any] | None = None) -> list[Path]:
    volume = np.random.default_rng(0).integers(-1000, 1000, (9, 7, 5)).astype(np.int16)
    return write_slices(folder, slices_of(volume, nifti_affine(AXIAL, (0.7, 0.9, 2.5))), change)


def read(folder: Path) -> tuple[int, list[str]]:
    """How many volumes are read, and the sentences of the others."""
    data = FaultTolerantDataset(find_volumes(folder), Compose([LoadImaged("image", reader=VolumeReader)]))
    results = list(data)
    problems = [result.problem for result in results if isinstance(result, CaseFailure)]
    assert not any("problems.json holds" in problem for problem in problems)
    return len(results) - len(problems), problems


def test_a_patient_whose_files_are_all_damaged(tmp_path: Path) -> None:
    write_series(tmp_path / "good")
    for path in write_series(tmp_path / "bad"):
        path.write_bytes(path.read_bytes()[:200])
    used, (problem,) = read(tmp_path)
    assert used == 1
    assert problem.startswith(f"{tmp_path / 'bad'} holds 5 files that seem to be DICOM and cannot be read (IM0000.dcm")


def test_a_series_of_two_folders_of_which_one_is_damaged(tmp_path: Path) -> None:
    paths = write_series(tmp_path / "p" / "one")
    (tmp_path / "p" / "two").mkdir()
    for path in paths[3:]:
        data = path.read_bytes()
        path.unlink()
        (tmp_path / "p" / "two" / path.name).write_bytes(data[: data.index(b"\x28\x00\x10\x00")])
    used, (problem,) = read(tmp_path)
    assert used == 0
    assert "lies beside 2 DICOM files that cannot be read (two/IM" in problem


def magic(data: bytes) -> bytes:
    return data[:128] + b"DICL" + data[132:]


def unknown_class(data: bytes) -> bytes:
    return data.replace(CLASS, CLASS.replace(b"10008.5.1.4.1.1.2", b"10008.5.1.4.1.9.2"))


def nothing(_: bytes) -> bytes:
    return b""


@pytest.mark.parametrize("name", ["{}.dcm", "{}.IMA", "{}", "1.2.3.{}"])
@pytest.mark.parametrize("damage", [nothing, magic, unknown_class])
def test_an_end_slice_with_a_damaged_header(damage: Callable[[bytes], bytes], name: str, tmp_path: Path) -> None:
    paths = write_series(tmp_path / "a")
    paths[-1].write_bytes(damage(paths[-1].read_bytes()))
    for i, path in enumerate(paths):
        path.rename(path.with_name(name.format(i)))
    used, (problem,) = read(tmp_path)
    assert used == 0
    assert name.format(4) in problem


def test_the_instance_uid_of_another_slice(tmp_path: Path) -> None:
    uids: list[str] = []

    def change(k: int, dataset: Any) -> None:
        uids.append(dataset.SOPInstanceUID)
        if k == 4:
            dataset.SOPInstanceUID = uids[0]

    write_series(tmp_path / "a", change)
    used, (problem,) = read(tmp_path)
    assert used == 0
    assert "cannot be read" in problem


def test_a_truncated_zip_beside_a_good_one(tmp_path: Path) -> None:
    write_series(tmp_path / "in" / "a")
    (tmp_path / "zips").mkdir()
    good = Path(shutil.make_archive(str(tmp_path / "zips" / "good"), "zip", tmp_path / "in"))
    (tmp_path / "zips" / "bad.zip").write_bytes(good.read_bytes()[:-60])
    used, (problem,) = read(tmp_path / "zips")
    assert used == 1
    assert problem == f"{tmp_path / 'zips' / 'bad.zip'} is not a readable zip: pack it again."


def test_damaged_members_of_a_zip_without_a_series(tmp_path: Path) -> None:
    write_series(tmp_path / "good")
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as archive:
        archive.writestr("x/1.dcm", b"x")
    used, (problem,) = read(tmp_path)
    assert used == 1
    assert "bad.zip holds 1 files" in problem


def test_text_and_other_suffixes_are_passed_over(tmp_path: Path) -> None:
    for i, path in enumerate(write_series(tmp_path / "a")):
        path.rename(path.with_name(f"{i}"))
    (tmp_path / "a" / "LICENSE").write_text("You may.\n")
    (tmp_path / "a" / "thumbs.db").write_bytes(bytes(9))
    assert read(tmp_path) == (1, [])


def test_links_that_lead_nowhere_or_in_a_circle(tmp_path: Path) -> None:
    write_series(tmp_path / "in" / "good")
    (tmp_path / "in" / "loop").symlink_to(tmp_path / "in")
    (tmp_path / "in" / "self").symlink_to("self")
    (tmp_path / "in" / "other").mkdir()
    (tmp_path / "in" / "other" / "1.dcm").symlink_to(tmp_path / "gone")
    used, problems = read(tmp_path / "in")
    assert used == 1
    assert any("other holds 1 files" in problem for problem in problems)


@pytest.mark.parametrize("folder", [False, True])
def test_what_may_not_be_read(folder: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_series(tmp_path / "good")
    locked, *_ = write_series(tmp_path / "bad")
    if os.geteuid():
        (locked.parent if folder else locked).chmod(0)
    elif folder:
        scan = os.scandir
        monkeypatch.setattr(os, "scandir", lambda path: _refuse(path) if str(path).endswith("bad") else scan(path))
    else:
        monkeypatch.setattr("builtins.open", _refusing(open, locked))
    try:
        used, (problem,) = read(tmp_path)
    finally:
        locked.parent.chmod(0o700)
    assert used == 1
    assert "cannot be read" in problem


def _refuse(path: Any) -> Any:
    raise PermissionError(13, "Permission denied", str(path))


def _refusing(opening: Any, locked: Path) -> Any:
    return lambda path, *args, **options: _refuse(path) if path == locked else opening(path, *args, **options)


def set_to(name: str, value: Any) -> Callable[[int, Any], None]:
    return lambda _, dataset: setattr(dataset, name, value)


def longer(_: int, dataset: Any) -> None:
    dataset.Columns -= 1


def huge(_: int, dataset: Any) -> None:
    dataset.Rows = dataset.Columns = 65_535


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (set_to("RescaleSlope", "0"), "rescale slope of 0"),
        (set_to("RescaleIntercept", "1e39"), "infinite slope or intercept"),
        (longer, "cannot be decoded"),
        (huge, "max_pixels"),
        (set_to("PixelSpacing", ["900", "900"]), "which no scanner makes"),
        (set_to("FrameOfReferenceUID", ["1.2", "1.3"]), ""),
        (set_to("SeriesInstanceUID", ["1.2", "1.3"]), "cannot be read"),
    ],
)
def test_values_that_cannot_be(change: Callable[[int, Any], None], words: str, tmp_path: Path) -> None:
    write_series(tmp_path / "good")
    write_series(tmp_path / "bad", change)
    used, problems = read(tmp_path)
    assert used + len(problems) == 2
    assert words in "".join(problems)


@pytest.mark.parametrize(
    ("tag", "value"),
    [("NumberOfFrames", b"x "), ("SeriesNumber", b"inf "), ("SOPInstanceUID", b""), ("RescaleSlope", b"inf ")],
)
def test_texts_that_are_no_values(tag: str, value: bytes, tmp_path: Path) -> None:
    write_series(tmp_path / "good")
    for path in write_series(tmp_path / "bad", set_to("NumberOfFrames", 1)):
        path.write_bytes(with_text(path, tag, value))
    used, problems = read(tmp_path)
    assert used == 1
    assert "bad" in "".join(problems)


def test_pydicom_logs_nothing_of_a_header(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    seen: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: seen.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger().addHandler(handler)
    try:
        for path in write_series(tmp_path / "a"):
            data = path.read_bytes().replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.secret")
            path.write_bytes(data.replace(b"medseg tests", b"\xff\xfesecret 1\x1b\x1b"))
        write_series(tmp_path / "b", set_to("SeriesNumber", 3))
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            used, problems = read(tmp_path)
    finally:
        logging.getLogger().removeHandler(handler)
    assert (used, len(problems)) == (1, 1)
    assert not logging.getLogger("pydicom").isEnabledFor(logging.ERROR)
    captured = capfd.readouterr()
    assert (
        "secret"
        not in "".join([*seen, *problems, *(str(warning.message) for warning in warned)]) + captured.out + captured.err
    )
