"""Writing CT series for tests: any orientation, names and instance numbers that say nothing, faults on request."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import CTImageStorage, EnhancedCTImageStorage, ExplicitVRLittleEndian, generate_uid

AXIAL = ((1, 0, 0), (0, 1, 0), (0, 0, 1))  # along a row, along a column, from slice to slice; left, back, up
SAGITTAL = ((0, 1, 0), (0, 0, -1), (1, 0, 0))
CORONAL_DOWN = ((1, 0, 0), (0, 0, -1), (0, 1, 0))
PATIENT = "Doe^Jane"


def turned(degrees: float) -> tuple[tuple[float, ...], ...]:
    """Axial slices, turned about the axis from right to left: oblique."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return (1.0, 0.0, 0.0), (0.0, c, s), (0.0, -s, c)


def text(value: float) -> str:
    """A decimal string as DICOM has it, up to 16 characters."""
    return pydicom.valuerep.format_number_as_ds(float(value))


def nifti_affine(
    axes: Sequence[Sequence[float]], spacing: Sequence[float], origin: Sequence[float] = (-31.5, -12.25, 7.0)
) -> np.ndarray:
    """Of the array `[column, row, slice]` that `slices_of` takes, to mm right, front and up."""
    affine = np.eye(4)
    affine[:3, :3] = (np.asarray(axes) * np.asarray(spacing)[:, None]).T
    affine[:3, 3] = origin
    return np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine


def slices_of(volume: np.ndarray, affine: np.ndarray, slope: float = 1, intercept: float = -2048) -> list[Dataset]:
    """A CT series of `volume`, HU `[column, row, slice]`, at a right-handed or left-handed `affine` (RAS)."""
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    axes = lps[:3, :3] / spacing
    series, study, reference = (generate_uid() for _ in range(3))
    made = []
    for k in range(volume.shape[2]):
        dataset = Dataset()
        dataset.SOPClassUID, dataset.SOPInstanceUID = CTImageStorage, generate_uid()
        dataset.SeriesInstanceUID, dataset.StudyInstanceUID, dataset.FrameOfReferenceUID = series, study, reference
        dataset.PatientName, dataset.PatientID, dataset.PatientBirthDate, dataset.PatientSex = PATIENT, "42", "", "O"
        dataset.StudyDate, dataset.StudyTime, dataset.StudyID, dataset.AccessionNumber = "20200101", "101010", "1", ""
        dataset.ReferringPhysicianName, dataset.Manufacturer = "", "medseg tests"
        dataset.Modality, dataset.SeriesNumber, dataset.PositionReferenceIndicator = "CT", 3, ""
        dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        dataset.InstanceNumber, dataset.AcquisitionNumber, dataset.KVP = 7 * k % volume.shape[2] + 1, 1, "120"
        dataset.ImagePositionPatient = [text(x) for x in lps[:3, 3] + k * lps[:3, 2]]
        dataset.ImageOrientationPatient = [text(x) for x in (*axes[:, 0], *axes[:, 1])]
        dataset.PixelSpacing, dataset.SliceThickness = [text(spacing[1]), text(spacing[0])], text(spacing[2])
        dataset.RescaleSlope, dataset.RescaleIntercept, dataset.RescaleType = text(slope), text(intercept), "HU"
        stored = np.round((volume[:, :, k].T - intercept) / slope).astype(np.uint16)
        dataset.Rows, dataset.Columns = stored.shape
        dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PixelRepresentation = 1, "MONOCHROME2", 0
        dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 16, 15
        dataset.PixelData = stored.tobytes()
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        made.append(dataset)
    return made


def write_slices(
    folder: Path, slices: Sequence[Dataset], change: Callable[[int, Dataset], Any] | None = None, seed: int = 0
) -> list[Path]:
    """Write them under shuffled names, after `change(k, slice)`; the paths in the order of the slices."""
    folder.mkdir(parents=True, exist_ok=True)
    names = np.random.default_rng(seed).permutation(len(slices))
    paths = []
    for k, dataset in enumerate(slices):
        if change is not None:
            change(k, dataset)
        paths.append(folder / f"IM{names[k]:04d}.dcm")
        dataset.save_as(paths[-1], enforce_file_format=True)
    return paths


def with_text(path: Path, keyword: str, text: str | bytes) -> bytes:
    """A file in explicit little endian with another text in an attribute that it has, without pydicom's checks."""
    data = path.read_bytes()
    tag = pydicom.tag.Tag(keyword)
    start = data.find(tag.group.to_bytes(2, "little") + tag.element.to_bytes(2, "little"), 132)
    if start < 0:
        return data
    value = text if isinstance(text, bytes) else text.encode()
    value += b" " * (len(value) % 2)
    end = start + 8 + int.from_bytes(data[start + 6 : start + 8], "little")
    return data[: start + 6] + len(value).to_bytes(2, "little") + value + data[end:]


def multi_frame(slices: Sequence[Dataset], order: Sequence[int]) -> Dataset:
    """The same images as one enhanced CT, its frames in `order`."""
    whole = pydicom.dcmread(pydicom.filebase.DicomBytesIO(_bytes(slices[0])))
    whole.SOPClassUID = whole.file_meta.MediaStorageSOPClassUID = EnhancedCTImageStorage
    whole.NumberOfFrames = len(order)
    shared, frames = Dataset(), []
    shared.PixelMeasuresSequence = Items([_moved(whole, "PixelSpacing", "SliceThickness")])
    shared.PlaneOrientationSequence = Items([_moved(whole, "ImageOrientationPatient")])
    shared.PixelValueTransformationSequence = Items([_moved(whole, "RescaleSlope", "RescaleIntercept", "RescaleType")])
    del whole.ImagePositionPatient
    for k in order:
        frame = Dataset()
        frame.PlanePositionSequence = Items([Dataset()])
        frame.PlanePositionSequence[0].ImagePositionPatient = slices[k].ImagePositionPatient
        frame.FrameContentSequence = Items([Dataset()])
        frames.append(frame)
    whole.SharedFunctionalGroupsSequence, whole.PerFrameFunctionalGroupsSequence = Items([shared]), Items(frames)
    whole.PixelData = b"".join(slices[k].PixelData for k in order)
    return whole


def _moved(dataset: Dataset, *keywords: str) -> Dataset:
    item = Dataset()
    for keyword in keywords:
        setattr(item, keyword, dataset[keyword].value)
        delattr(dataset, keyword)
    return item


def _bytes(dataset: Dataset) -> bytes:
    buffer = pydicom.filebase.DicomBytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()
