import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import highdicom
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
from nibabel.orientations import axcodes2ornt, io_orientation, ornt_transform

from medseg.data.dicom import load_series
from medseg.errors import InputError
from medseg.results.dicom_seg import write_segmentation

SPACING = (0.7, 0.9, 2.5)
SHAPE = (9, 7, 6)
LEFT = ["7771000", "SCT", "Left"]


@pytest.fixture
def metadata(tmp_path: Path) -> Path:
    codes = {"category": ["91723000", "SCT", "Anatomical Structure"], "type": ["39607008", "SCT", "Lung"]}
    segments = {"1": {"label": "left lung", **codes, "modifier": LEFT}, "2": {"label": "lung", **codes}}
    facts = {"name": "A network", "version": "1.2.3", "task": "Segmentation of something " * 5, "segments": segments}
    (tmp_path / "metadata.json").write_text(json.dumps(facts))
    return tmp_path / "metadata.json"


def some_labels() -> np.ndarray:
    """Asymmetric in every axis; the first and last slice are empty, label 2 is in one slice."""
    labels = np.zeros(SHAPE, np.uint8)
    labels[1:4, 2:6, 1:4] = 1
    labels[0, 0, 2] = 1
    labels[5:8, 1, 4] = 2
    return labels


def write_series(folder: Path, affine: np.ndarray) -> None:
    units = np.random.default_rng(0).integers(-1000, 1000, SHAPE)
    write_slices(folder, slices_of(units, affine))


def by_source(segmentation: Any, images: dict[str, Any], affine: np.ndarray) -> np.ndarray:
    """The label map `[column, row, slice]` by what each frame says of its source, read with pydicom alone."""
    found = np.zeros(SHAPE, np.uint8)
    back = np.linalg.inv(np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine)
    for pixels, frame in zip(
        segmentation.pixel_array.reshape(-1, SHAPE[1], SHAPE[0]),
        segmentation.PerFrameFunctionalGroupsSequence,
        strict=True,
    ):
        source = frame.DerivationImageSequence[0].SourceImageSequence[0]
        image = images[source.ReferencedSOPInstanceUID]
        position = frame.PlanePositionSequence[0].ImagePositionPatient
        if "ReferencedFrameNumber" in source:
            place = image.PerFrameFunctionalGroupsSequence[source.ReferencedFrameNumber - 1].PlanePositionSequence[0]
        else:
            place = image
        np.testing.assert_allclose(position, place.ImagePositionPatient, atol=1e-3)
        index = back @ [*place.ImagePositionPatient, 1]
        np.testing.assert_allclose(index[:2], 0, atol=1e-3)
        number = frame.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        found[:, :, round(index[2])][pixels.T > 0] = number
    return found


def images_of(folder: Path) -> dict[str, Any]:
    images = [pydicom.dcmread(path) for path in folder.iterdir()]
    return {image.SOPInstanceUID: image for image in images}


@pytest.mark.parametrize("axes", [AXIAL, SAGITTAL, CORONAL_DOWN, (*AXIAL[:2], (0, 0, -1)), turned(17)])
@pytest.mark.parametrize("codes", ["as given", "RAS", "PIR"])
def test_every_frame_lies_on_its_source(codes: str, axes: Any, metadata: Path, tmp_path: Path) -> None:
    affine = nifti_affine(axes, SPACING)
    write_series(tmp_path / "series", affine)
    given = nibabel.Nifti1Image(some_labels(), affine)
    if codes != "as given":
        given = given.as_reoriented(ornt_transform(io_orientation(affine), axcodes2ornt(tuple(codes))))
    target = tmp_path / "seg.dcm"
    write_segmentation(np.asarray(given.dataobj), given.affine, tmp_path / "series", metadata, target)
    images = images_of(tmp_path / "series")
    found = pydicom.dcmread(target)
    np.testing.assert_array_equal(by_source(found, images, affine), some_labels())
    assert {found.FrameOfReferenceUID} == {image.FrameOfReferenceUID for image in images.values()}
    assert {found.StudyInstanceUID} == {image.StudyInstanceUID for image in images.values()}
    assert found.SeriesInstanceUID not in {image.SeriesInstanceUID for image in images.values()}
    assert found.PatientName == PATIENT
    # and as highdicom reads it: planes from the first to the last with content
    volume = highdicom.seg.segread(target).get_volume(combine_segments=True, allow_missing_positions=True)
    wanted = highdicom.Volume(
        some_labels(), np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine, coordinate_system="PATIENT"
    ).match_geometry(volume, tol=1e-3)
    np.testing.assert_array_equal(volume.array, wanted.array)


def test_a_multi_frame_source(metadata: Path, tmp_path: Path) -> None:
    affine = nifti_affine(AXIAL, SPACING)
    (tmp_path / "series").mkdir()
    whole = multi_frame(slices_of(np.zeros(SHAPE), affine), [3, 5, 0, 4, 1, 2])
    whole.save_as(tmp_path / "series" / "x", enforce_file_format=True)
    write_segmentation(some_labels(), affine, tmp_path / "series", metadata, tmp_path / "seg.dcm")
    found = pydicom.dcmread(tmp_path / "seg.dcm")
    np.testing.assert_array_equal(by_source(found, images_of(tmp_path / "series"), affine), some_labels())


def test_names_codes_and_versions(metadata: Path, tmp_path: Path) -> None:
    affine = nifti_affine(AXIAL, SPACING)
    write_series(tmp_path / "series", affine)
    write_segmentation(some_labels(), affine, tmp_path / "series", metadata, tmp_path / "seg.dcm")
    found = pydicom.dcmread(tmp_path / "seg.dcm")
    assert (found.Modality, found.SegmentationType) == ("SEG", "BINARY")
    first, second = found.SegmentSequence
    assert [first.SegmentLabel, second.SegmentLabel] == ["left lung", "lung"]
    assert first.SegmentedPropertyCategoryCodeSequence[0].CodeValue == "91723000"
    kind = first.SegmentedPropertyTypeCodeSequence[0]
    modifier = kind.SegmentedPropertyTypeModifierCodeSequence[0]
    assert [kind.CodeValue, kind.CodingSchemeDesignator, kind.CodeMeaning] == ["39607008", "SCT", "Lung"]
    assert [modifier.CodeValue, modifier.CodingSchemeDesignator, modifier.CodeMeaning] == LEFT
    assert "SegmentedPropertyTypeModifierCodeSequence" not in second.SegmentedPropertyTypeCodeSequence[0]
    algorithm = first.SegmentationAlgorithmIdentificationSequence[0]
    assert (algorithm.AlgorithmName, algorithm.AlgorithmVersion) == ("A network", "1.2.3")


def test_headers_that_the_scanner_rounded(metadata: Path, tmp_path: Path) -> None:
    """Frames keep the positions of their sources, not those of the regular grid."""
    affine = nifti_affine(turned(17), SPACING)

    def round_off(k: int, dataset: Any) -> None:
        dataset.ImagePositionPatient = [round(float(x), 1) for x in dataset.ImagePositionPatient]
        dataset.ImageOrientationPatient = [round(float(x), 4 + k % 2) for x in dataset.ImageOrientationPatient]
        dataset.PixelSpacing = [round(float(x) + 1e-5 * (k % 2), 6) for x in dataset.PixelSpacing]

    write_slices(tmp_path / "series", slices_of(np.zeros(SHAPE), affine), round_off)
    volume, rounded = load_series(tmp_path / "series")
    assert volume.shape == SHAPE
    write_segmentation(some_labels(), rounded, tmp_path / "series", metadata, tmp_path / "seg.dcm")
    found = pydicom.dcmread(tmp_path / "seg.dcm")
    images = images_of(tmp_path / "series")
    frames = zip(found.pixel_array, found.PerFrameFunctionalGroupsSequence, strict=True)
    order = sorted(images.values(), key=lambda image: float(image.ImagePositionPatient[2]))
    for pixels, frame in frames:
        source = images[frame.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID]
        assert frame.PlanePositionSequence[0].ImagePositionPatient == source.ImagePositionPatient
        number = frame.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        np.testing.assert_array_equal(pixels.T > 0, some_labels()[:, :, order.index(source)] == number)


@pytest.mark.slow
@pytest.mark.parametrize("empty", [False, True])
def test_dciodvfy(empty: bool, metadata: Path, tmp_path: Path) -> None:
    if not shutil.which("dciodvfy"):
        pytest.skip("dciodvfy (Debian: dicom3tools) is not installed")
    affine = nifti_affine(turned(17), SPACING)
    write_series(tmp_path / "series", affine)
    labels = np.zeros_like(some_labels()) if empty else some_labels()
    write_segmentation(labels, affine, tmp_path / "series", metadata, tmp_path / "seg.dcm")
    done = subprocess.run(["dciodvfy", "-new", tmp_path / "seg.dcm"], capture_output=True, text=True, check=False)
    assert "Segmentation" in done.stderr
    assert [line for line in done.stderr.splitlines() if line.startswith("Error")] == []


def test_an_empty_label_map_describes_its_segments(metadata: Path, tmp_path: Path) -> None:
    affine = nifti_affine(AXIAL, SPACING)
    write_series(tmp_path / "series", affine)
    write_segmentation(np.zeros(SHAPE), affine, tmp_path / "series", metadata, tmp_path / "seg.dcm")
    found = pydicom.dcmread(tmp_path / "seg.dcm")
    assert not found.pixel_array.any()
    assert len(found.SegmentSequence) == 2
    assert found.NumberOfFrames == 2 * SHAPE[2]


@pytest.mark.parametrize("fault", ["label", "shape", "place", "spacing"])
def test_what_does_not_fit_is_refused_and_leaves_the_old_file(fault: str, metadata: Path, tmp_path: Path) -> None:
    affine = nifti_affine(AXIAL, SPACING)
    write_series(tmp_path / "series", affine)
    labels, words = some_labels(), "other voxels"
    if fault == "label":
        labels[0, 0, 0], words = 3, "no entry in `segments` for label 3"
    elif fault == "shape":
        labels = labels[:, :, 1:]
    else:
        other = {"place": (-31.1, -12.25, 7.0), "spacing": (-31.5, -12.25, 7.0)}[fault]
        affine = nifti_affine(AXIAL, SPACING if fault == "place" else (0.7, 0.9, 2.6), other)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "seg.dcm").write_text("old")
    with pytest.raises(InputError, match=words):
        write_segmentation(labels, affine, tmp_path / "series", metadata, tmp_path / "out" / "seg.dcm")
    assert [(path.name, path.read_text()) for path in (tmp_path / "out").iterdir()] == [("seg.dcm", "old")]


def test_headers_too_poor_for_a_segmentation(metadata: Path, tmp_path: Path) -> None:
    affine = nifti_affine(AXIAL, SPACING)
    write_slices(tmp_path / "series", slices_of(np.zeros(SHAPE), affine), lambda _, d: delattr(d, "StudyInstanceUID"))
    with pytest.raises(InputError, match=r"lacks in its headers.*output_format to nifti") as error:
        write_segmentation(some_labels(), affine, tmp_path / "series", metadata, tmp_path / "seg.dcm")
    assert PATIENT not in str(error.value)


def test_a_source_without_what_only_viewers_need(metadata: Path, tmp_path: Path) -> None:
    """Series from anonymizers lack or blank whole groups of attributes."""
    affine = nifti_affine(AXIAL, SPACING)

    def strip(_: int, dataset: Any) -> None:
        for name in ("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime"):
            delattr(dataset, name)
        for name in ("StudyID", "AccessionNumber", "ReferringPhysicianName", "SeriesNumber", "InstanceNumber"):
            delattr(dataset, name)

    write_slices(tmp_path / "series", slices_of(np.zeros(SHAPE), affine), strip)
    write_segmentation(some_labels(), affine, tmp_path / "series", metadata, tmp_path / "seg.dcm")
    found = pydicom.dcmread(tmp_path / "seg.dcm")
    np.testing.assert_array_equal(by_source(found, images_of(tmp_path / "series"), affine), some_labels())
