import logging
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pydicom
import pytest
from dicom_files import (
    AXIAL,
    CORONAL_DOWN,
    PATIENT,
    SAGITTAL,
    multi_frame,
    nifti_affine,
    slices_of,
    turned,
    write_slices,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.transforms import Compose, LoadImage, LoadImaged, Orientation
from PIL import Image
from pydicom.fileset import FileSet
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    MRImageStorage,
    RLELossless,
    generate_uid,
)

from medseg.data import CaseFailure, FaultTolerantDataset, VolumeReader, find_volumes
from medseg.data.dicom import load_series
from medseg.errors import InputError

SPACING = (0.7, 0.9, 2.5)
DESCENDING = (*AXIAL[:2], (0, 0, -1))  # slices from top to bottom


def some_volume(shape: tuple[int, int, int] = (9, 7, 5), seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(-1000, 1000, shape).astype(np.int16)


def write_series(folder: Path, change: Callable[[int, Any], Any] | None = None, **options: Any) -> list[Path]:
    return write_slices(folder, slices_of(some_volume(), nifti_affine(AXIAL, SPACING), **options), change)


def in_ras(path: str | Path) -> Any:
    image = LoadImage(reader=VolumeReader, image_only=True)(path)
    return Orientation("RAS", labels=(("L", "R"), ("P", "A"), ("I", "S")))(image[None])


def problems_of(items: list[dict[str, str]]) -> list[str]:
    """The sentence of each volume that cannot be used."""
    data = FaultTolerantDataset(items, Compose([LoadImaged("image", reader=VolumeReader)]))
    return [item.problem for item in data if isinstance(item, CaseFailure)]


def assert_same(path: str | Path, volume: np.ndarray, affine: np.ndarray, tmp_path: Path) -> None:
    """The series is what nibabel reads of the same volume as NIfTI."""
    nibabel.save(nibabel.Nifti1Image(volume, affine), tmp_path / "same.nii")
    found, wanted = in_ras(path), in_ras(tmp_path / "same.nii")
    np.testing.assert_array_equal(found.numpy(), wanted.numpy())
    np.testing.assert_allclose(found.affine, wanted.affine, atol=1e-5)


@pytest.mark.parametrize("axes", [AXIAL, SAGITTAL, CORONAL_DOWN, DESCENDING, turned(17)])
def test_a_series_is_what_its_nifti_is(axes: tuple[tuple[float, ...], ...], tmp_path: Path) -> None:
    volume, affine = some_volume(), nifti_affine(axes, SPACING)
    write_slices(tmp_path / "series", slices_of(volume, affine))
    (item,) = find_volumes(tmp_path / "series")
    assert problems_of([item]) == []
    assert_same(item["image"], volume, affine, tmp_path)
    assert_same(tmp_path / "series", volume, affine, tmp_path)


@settings(max_examples=8, deadline=None)
@given(
    order=st.permutations([0, 1, 2]),
    signs=st.tuples(*[st.sampled_from([-1, 1])] * 3),
    spacing=st.tuples(*[st.sampled_from([0.33, 0.977, 1.25, 3.0])] * 3),
    seed=st.integers(0, 99),
)
def test_any_direction_of_the_axes(
    order: list[int], signs: tuple[int, ...], spacing: tuple[float, ...], seed: int, tmp_path_factory: Any
) -> None:
    folder = tmp_path_factory.mktemp("any")
    volume = some_volume((4, 6, 5), seed)
    affine = nifti_affine(np.eye(3)[order] * np.array(signs)[:, None], spacing)
    write_slices(folder / "series", slices_of(volume, affine), seed=seed)
    assert_same(find_volumes(folder / "series")[0]["image"], volume, affine, folder)


def test_slope_and_intercept(tmp_path: Path) -> None:
    half = some_volume() // 2 * 2
    write_slices(tmp_path / "a", slices_of(half, nifti_affine(AXIAL, SPACING), slope=2, intercept=-1000))
    volume, _ = load_series(tmp_path / "a")
    assert volume.dtype == np.float32
    np.testing.assert_array_equal(volume, half)


def test_positions_that_the_scanner_rounded(tmp_path: Path) -> None:
    def round_position(k: int, dataset: Any) -> None:
        dataset.ImagePositionPatient = [*dataset.ImagePositionPatient[:2], round(7 + 0.625 * k, 1)]

    affine = nifti_affine(AXIAL, (0.7, 0.9, 0.625))
    write_slices(tmp_path / "a", slices_of(some_volume((9, 7, 40)), affine), round_position)
    np.testing.assert_allclose(load_series(tmp_path / "a")[1], affine, atol=0.01)


# ---- where series lie, and their names


def names(path: Path) -> list[str]:
    items = find_volumes(path)
    assert problems_of(items) == []
    found = [Path(item["image"]).stem for item in items]
    assert all(name.replace("_", "").replace("-", "").isalnum() for name in found)
    assert len({name.casefold() for name in found}) == len(found)
    return found


def test_a_tree_of_folders(tmp_path: Path) -> None:
    for folder in ("p1/CT", "p2/CT", "p2/1.2.3 x", "p3/a/b"):
        write_series(tmp_path / "tree" / folder)
    assert names(tmp_path / "tree") == ["p1_CT", "p2_1_2_3_x", "p2_CT", "p3_a_b"]
    assert names(tmp_path / "tree" / "p3") == ["a_b"]
    assert names(tmp_path / "tree" / "p2" / "1.2.3 x") == ["1_2_3_x"]


def test_a_series_over_several_folders(tmp_path: Path) -> None:
    paths = write_series(tmp_path / "tree" / "p1" / "one")
    (tmp_path / "tree" / "p1" / "two").mkdir()
    for path in paths[:2]:
        path.rename(tmp_path / "tree" / "p1" / "two" / path.name)
    assert names(tmp_path / "tree") == ["p1"]
    assert names(tmp_path / "tree" / "p1") == ["p1"]


def test_mixed_series_in_one_folder_are_split(tmp_path: Path) -> None:
    volumes = {}
    for i, number in enumerate((3, 4, 4)):
        volumes[i] = some_volume(seed=i)
        series = slices_of(volumes[i], nifti_affine(AXIAL, SPACING))
        for k, path in enumerate(
            write_slices(tmp_path / "all", series, lambda _, dataset, n=number: setattr(dataset, "SeriesNumber", n))
        ):
            path.rename(path.with_name(f"{k}_{i}"))
    items = find_volumes(tmp_path / "all")
    assert names(tmp_path / "all")[0] == "all_s3"
    assert all(name.startswith("all_s4_") for name in names(tmp_path / "all")[1:])
    found = [load_series(item["image"])[0] for item in items]
    matches = [[bool((one == volume).all()) for volume in volumes.values()] for one in found]
    assert sorted(matches, reverse=True) == [[True, False, False], [False, True, False], [False, False, True]]
    with pytest.raises(InputError, match="3 DICOM image series"):
        load_series(tmp_path / "all")


def test_a_zip_is_read_in_place(tmp_path: Path) -> None:
    volume, affine = some_volume(), nifti_affine(AXIAL, SPACING)
    for folder in ("in/a", "in/b"):
        write_slices(tmp_path / folder, slices_of(volume, affine))
    (tmp_path / "in" / "note.txt").write_text("no image")
    (tmp_path / "zips").mkdir()
    shutil.make_archive(str(tmp_path / "zips" / "both"), "zip", tmp_path / "in")
    shutil.make_archive(str(tmp_path / "zips" / "one"), "zip", tmp_path / "in" / "a")
    before = sorted(tmp_path.rglob("*"))
    assert names(tmp_path / "zips" / "both.zip") == ["a", "b"]
    assert names(tmp_path / "zips" / "one.zip") == ["one"]
    assert names(tmp_path / "zips") == ["both_a", "both_b", "one"]
    assert sorted(tmp_path.rglob("*")) == before
    assert_same(find_volumes(tmp_path / "zips" / "both.zip")[1]["image"], volume, affine, tmp_path)
    assert_same(tmp_path / "zips" / "one.zip", volume, affine, tmp_path)


def test_one_file_stands_for_its_series_and_a_dicomdir_for_all(tmp_path: Path) -> None:
    paths = write_series(tmp_path / "a")
    for path in write_series(tmp_path / "other"):
        path.rename(tmp_path / "a" / f"x{path.name}")
    directory = FileSet()
    directory.add(paths[0])
    directory.write(tmp_path / "set")
    shutil.copy(tmp_path / "set" / "DICOMDIR", tmp_path / "a")
    (item,) = find_volumes(paths[2])
    assert load_series(item["image"])[0].shape == load_series(paths[2])[0].shape == (9, 7, 5)
    assert len(find_volumes(tmp_path / "a")) == len(find_volumes(tmp_path / "a" / "DICOMDIR")) == 2


def test_what_is_no_image_is_passed_over(tmp_path: Path) -> None:
    first, *_ = write_series(tmp_path / "a")
    (tmp_path / "a" / "notes.txt").write_text("x")
    (tmp_path / "a" / "empty").write_bytes(b"")
    (tmp_path / "a" / ".hidden.dcm").write_bytes(b"x")
    shutil.copy(first, tmp_path / "a" / "copy.dcm")
    report = pydicom.dcmread(first)
    report.SOPClassUID = report.file_meta.MediaStorageSOPClassUID = pydicom.uid.BasicTextSRStorage
    report.SeriesInstanceUID = generate_uid()
    report.save_as(tmp_path / "a" / "report.dcm")
    assert names(tmp_path / "a") == ["a"]


def test_nothing_to_read(tmp_path: Path) -> None:
    (tmp_path / "plain.zip").write_bytes(b"")
    with zipfile.ZipFile(tmp_path / "empty.zip", "w") as archive:
        archive.writestr("a.txt", "x")
    for path in (tmp_path / "empty.zip", tmp_path):
        with pytest.raises(InputError, match="holds no volumes"):
            find_volumes(path)
    with pytest.raises(InputError, match="not a NIfTI or DICOM volume"):
        find_volumes(tmp_path / "plain.zip")
    with pytest.raises(InputError, match="does not exist"):
        load_series(tmp_path / "gone" / "@1.2.3" / "x.dicom")
    (first, *_) = write_series(tmp_path / "a")
    first.write_bytes(first.read_bytes()[:200])
    with pytest.raises(InputError, match="cannot be read"):
        find_volumes(first)


# ---- compression and multi-frame


SYNTAXES = [RLELossless, JPEGLSLossless, JPEG2000Lossless, DeflatedExplicitVRLittleEndian]


@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda syntax: syntax.keyword)
def test_lossless_compression(syntax: Any, tmp_path: Path) -> None:
    def compress(_: int, dataset: Any) -> None:
        if syntax == JPEG2000Lossless:
            stream = BytesIO()
            Image.fromarray(dataset.pixel_array).save(stream, "JPEG2000", no_jp2=True, irreversible=False)
            dataset.PixelData = pydicom.encaps.encapsulate([stream.getvalue()])
            dataset["PixelData"].VR = "OB"
            dataset.file_meta.TransferSyntaxUID = syntax
        elif syntax.is_encapsulated:
            dataset.compress(syntax)
        else:
            dataset.file_meta.TransferSyntaxUID = syntax

    write_series(tmp_path / "a", compress)
    volume, _ = load_series(tmp_path / "a")
    np.testing.assert_array_equal(volume, some_volume())


@pytest.mark.parametrize("frames", [range(5), [3, 0, 4, 1, 2]])
def test_multi_frame(frames: list[int], tmp_path: Path) -> None:
    volume, affine = some_volume(), nifti_affine(turned(11), SPACING)
    (tmp_path / "a").mkdir()
    multi_frame(slices_of(volume, affine), frames).save_as(tmp_path / "a" / "all", enforce_file_format=True)
    (item,) = find_volumes(tmp_path / "a")
    assert problems_of([item]) == []
    assert_same(item["image"], volume, affine, tmp_path)


# ---- faults: one sentence that names the series and nothing of the patient


def set_to(**values: Any) -> Callable[[int, Any], None]:
    def change(k: int, dataset: Any) -> None:
        for name, value in values.items():
            setattr(dataset, name, value)

    return change


def at(index: int, change: Callable[[int, Any], None]) -> Callable[[int, Any], None]:
    return lambda k, dataset: change(k, dataset) if k == index else None


def moved(k: int, dataset: Any, along: int, by: float) -> None:
    position = [float(x) for x in dataset.ImagePositionPatient]
    position[along] += by
    dataset.ImagePositionPatient = [round(x, 6) for x in position]


def without(*names: str) -> Callable[[int, Any], None]:
    def change(_: int, dataset: Any) -> None:
        for name in names:
            delattr(dataset, name)

    return change


def smaller(_: int, dataset: Any) -> None:
    dataset.Rows -= 1
    dataset.PixelData = dataset.PixelData[: dataset.Rows * dataset.Columns * 2]


def as_mpeg(_: int, dataset: Any) -> None:
    dataset.PixelData = pydicom.encaps.encapsulate([b"\0\0"])
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.MPEG2MPML


def as_mr(_: int, dataset: Any) -> None:
    dataset.SOPClassUID, dataset.Modality = MRImageStorage, "MR"


def torn(_: int, dataset: Any) -> None:
    dataset.PixelData = dataset.PixelData[:40]


def color(_: int, dataset: Any) -> None:
    dataset.SamplesPerPixel = 3


FAULTS: dict[str, tuple[Callable[[int, Any], None], str]] = {
    "uneven": (lambda k, dataset: moved(k, dataset, 2, 0.3 * k * k), "spaced unevenly, 2.80 to 4.60 mm"),
    "gap": (lambda k, dataset: moved(k, dataset, 2, 2.5 if k > 2 else 0), "misses 1 slices"),
    "duplicate": (at(2, lambda k, dataset: moved(k, dataset, 2, -2.5)), "1 slices at the position of another"),
    "tilt": (lambda k, dataset: moved(k, dataset, 1, 0.5 * k), r"sheared by 11\.3 degrees"),
    "orientations": (at(1, set_to(ImageOrientationPatient=[1, 0, 0, 0, 0, -1])), "several orientations"),
    "sizes": (at(1, smaller), "several sizes"),
    "pixel spacings": (at(1, set_to(PixelSpacing=["0.5", "0.5"])), "several pixel spacings"),
    "localizer": (at(0, set_to(ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])), "localizer"),
    "no decoder": (as_mpeg, "is compressed"),
    "modality": (as_mr, "is not CT"),
    "no rescale": (without("RescaleSlope", "RescaleIntercept"), "no rescale slope"),
    "no units": (set_to(RescaleType="OD"), "no rescale slope"),
    "color": (color, "color"),
    "frames of reference": (at(1, set_to(FrameOfReferenceUID="1.2.3")), "frames of reference"),
    "no frame of reference": (without("FrameOfReferenceUID"), "missing or unreadable"),
    "no position": (at(1, without("ImagePositionPatient")), "missing or unreadable"),
    "no number": (at(1, set_to(PixelSpacing=None)), "missing or unreadable"),
    "no axes": (set_to(ImageOrientationPatient=[1, 0, 0, 1, 0, 0]), "missing or unreadable"),
    "torn pixels": (at(3, torn), "cannot be decoded"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_told_in_one_sentence(fault: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    change, words = FAULTS[fault]
    write_series(tmp_path / "sick", change)
    write_series(tmp_path / "well")
    sick, well = find_volumes(tmp_path)
    assert problems_of([well]) == []
    (sentence,) = problems_of([sick])
    uid = pydicom.dcmread(next((tmp_path / "sick").iterdir())).SeriesInstanceUID
    with pytest.raises(InputError, match=words):
        load_series(sick["image"])
    assert sentence.startswith(f"The series ...{uid[-10:]} in {tmp_path / 'sick'} ")
    assert ": " in sentence
    assert sentence.endswith(".")
    assert not any(secret in sentence + caplog.text for secret in (*PATIENT.split("^"), "20200101"))


def test_too_few_slices(tmp_path: Path) -> None:
    write_slices(tmp_path / "a", slices_of(some_volume((9, 7, 2)), nifti_affine(AXIAL, SPACING)))
    assert "2 slices, too few" in problems_of(find_volumes(tmp_path / "a"))[0]


def test_many_missing_slices(tmp_path: Path) -> None:
    paths = write_slices(tmp_path / "a", slices_of(some_volume((4, 3, 30)), nifti_affine(AXIAL, SPACING)))
    for k in (2, 9, 10, 25):
        paths[k].unlink()
    assert "misses 4 slices" in problems_of(find_volumes(tmp_path / "a"))[0]


@pytest.mark.parametrize("size", [0, 20, 140, 400, 900])
def test_truncated_files(size: int, tmp_path: Path) -> None:
    """Wherever it was cut, and the outermost slice too, which would not leave a gap."""
    for k in (4, 2):
        paths = write_series(tmp_path / f"{size}_{k}")
        paths[k].write_bytes(paths[k].read_bytes()[:size])
        (problem,) = problems_of(find_volumes(tmp_path / f"{size}_{k}"))
        assert paths[k].name in problem or "missing or unreadable" in problem


def test_damaged_series_only(tmp_path: Path) -> None:
    for path in write_series(tmp_path / "a"):
        path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(InputError, match="none can be read"):
        find_volumes(tmp_path / "a")


def test_damaged_zip(tmp_path: Path) -> None:
    write_series(tmp_path / "in")
    shutil.make_archive(str(tmp_path / "a"), "zip", tmp_path / "in")
    data = (tmp_path / "a.zip").read_bytes()
    (tmp_path / "a.zip").write_bytes(data[:1000] + bytes(300) + data[1300:])
    assert "cannot be" in " ".join(problems_of(find_volumes(tmp_path / "a.zip")))


def test_several_multi_frame_files(tmp_path: Path) -> None:
    slices = slices_of(some_volume(), nifti_affine(AXIAL, SPACING))
    (tmp_path / "a").mkdir()
    for i, frames in enumerate(([0, 1, 2], [3, 4])):
        whole = multi_frame(slices, frames)
        whole.SOPInstanceUID = whole.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        whole.save_as(tmp_path / "a" / f"{i}.dcm", enforce_file_format=True)
    assert "some of many frames" in problems_of(find_volumes(tmp_path / "a"))[0]


@pytest.mark.slow
def test_without_pydicom_nifti_works_and_dicom_is_explained(tmp_path: Path) -> None:
    write_series(tmp_path / "a")
    nibabel.save(nibabel.Nifti1Image(some_volume(), np.eye(4)), tmp_path / "b.nii")
    program = (
        "import sys; sys.modules['pydicom'] = sys.modules['highdicom'] = None\n"
        "import medseg.transforms; from medseg.data import VolumeReader, find_volumes\n"
        f"VolumeReader().get_data(VolumeReader().read(find_volumes({str(tmp_path / 'b.nii')!r})[0]['image']))\n"
        f"find_volumes({str(tmp_path / 'a')!r})"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stderr.strip().endswith("DICOM needs pydicom, highdicom: install with `pip install pydicom highdicom`.")


def test_headers_are_read_once_and_again_when_a_file_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_series(tmp_path / "in" / "a")
    paths = write_series(tmp_path / "in" / "b")
    shutil.make_archive(str(tmp_path / "both"), "zip", tmp_path / "in")
    read_headers: list[Any] = []
    dcmread = pydicom.dcmread

    def counted(file: Any, **options: Any) -> Any:
        if "specific_tags" in options:
            read_headers.append(file)
        return dcmread(file, **options)

    monkeypatch.setattr(pydicom, "dcmread", counted)
    for source in (tmp_path / "in", tmp_path / "both.zip"):
        read_headers.clear()
        for item in find_volumes(source):
            for _ in range(2):  # to load, and to write the DICOM SEG
                assert load_series(item["image"])[0].shape == (9, 7, 5)
        assert len(read_headers) == 10
    read_headers.clear()
    changed = dcmread(paths[2])
    changed.RescaleIntercept = 5
    changed.save_as(paths[2])
    unchanged, after = load_series(tmp_path / "in" / "a"), load_series(paths[0])
    assert len(read_headers) == 1
    assert not np.array_equal(unchanged[0], after[0])
    paths[1].unlink()
    with pytest.raises(InputError, match="misses 1 slices"):
        load_series(paths[0])
