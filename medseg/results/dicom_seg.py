"""Writing a label map as DICOM SEG beside the CT series it was made from.

highdicom takes long to import, so that the functions import it that need it.
"""

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from monai.config import PathLike
from monai.utils import optional_import

from medseg.data.dicom.container import Container
from medseg.data.dicom.series import container_of, open_series, require_dicom
from medseg.data.dicom.stack import Stack, stack_slices
from medseg.errors import InputError
from medseg.files import atomic_write

pydicom, _ = optional_import("pydicom")

_SERIES_NUMBER = 9901  # far from those that scanners give

# highdicom copies these and needs them, if only blank; anonymizers remove them
_COPIED = [
    *("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "StudyID", "StudyDate", "StudyTime"),
    *("AccessionNumber", "ReferringPhysicianName"),
]


def write_segmentation(
    labels: np.ndarray, affine: np.ndarray, source: PathLike, metadata: PathLike, target: PathLike
) -> None:
    """Write a label map as a DICOM SEG object (binary segments) that refers to the images of its series.

    The label map is brought to the order of the series' slices by the affines, never by the order of its axes. Frames
    in which a segment is empty are left out; if all are, the file describes the segments and holds empty frames.

    Args:
        labels: whole numbers `[X, Y, Z]`, 0 is background, on the voxels of the series in any order and direction of
            the axes.
        affine: of `labels`, `[4, 4]`, to mm right, front and up (RAS).
        source: the series, as for `load_series`.
        metadata: a bundle's `metadata.json`. Its `segments` give for each label (`"1"`, `"2"`, ...) a `label` and the
            codes `category`, `type` and, where needed, `modifier`, each as `[value, scheme, meaning]`.
        target: the file to write; an existing one is replaced. It appears whole or not at all.

    Raises:
        InputError: The extra `dicom` is missing, the series cannot be used, `labels` does not lie on its voxels, or one
            of its labels is not in `segments`.
    """
    require_dicom()
    facts = json.loads(Path(metadata).read_text())
    with container_of(source) as container:
        series = open_series(source, container)
        stack = stack_slices(series)
        images = _images(container, stack)
    segments = _segments(labels, facts, Path(metadata))
    try:
        frames = _frames(labels, affine, stack, images)
    except RuntimeError:
        raise InputError(f"{series.name} and its label map have other voxels: invert resampling first.") from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # they quote values of the header, and so do the errors
            segmentation = _build(images, frames, segments, facts)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{series.name} lacks in its headers what a DICOM SEG must repeat ({type(error).__name__}): "
            "export it again, or set output_format to nifti."
        ) from None
    with atomic_write(Path(target)) as temporary:
        segmentation.save_as(temporary)


def _images(container: Container, stack: Stack) -> list[Any]:
    """Whole headers of the files, in the order of the slices."""
    images = []
    for name in dict.fromkeys(plane.file for plane in stack.planes):
        with container.open(name) as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # they quote values of the header
            images.append(pydicom.dcmread(file, stop_before_pixels=True))
    for image in images:
        # multi-frame images have it elsewhere; slices differ by rounding, but highdicom wants them equal
        if "ImageOrientationPatient" in image:
            image.ImageOrientationPatient = images[0].ImageOrientationPatient
            image.PixelSpacing = images[0].PixelSpacing
        for keyword in set(_COPIED) - set(image.dir()):
            setattr(image, keyword, None)
    return images


def _frames(labels: np.ndarray, affine: np.ndarray, stack: Stack, images: list[Any]) -> np.ndarray:
    """The label map as ``[frame, row, column]``, in the order of the source's frames.

    Raises:
        RuntimeError: the voxels are not those of the series.
    """
    import highdicom

    place = {"coordinate_system": "PATIENT", "frame_of_reference_uid": images[0].FrameOfReferenceUID}
    rows, columns = stack.planes[0].shape
    # from (column, row, slice) to highdicom's (slice, row, column)
    shape = (len(stack.planes), rows, columns)
    geometry = highdicom.VolumeGeometry(stack.affine[:, [2, 1, 0, 3]], spatial_shape=shape, **place)
    volume = highdicom.Volume(labels.astype(np.uint8), np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine, **place)
    if sorted(volume.spatial_shape) != sorted(geometry.spatial_shape):
        raise RuntimeError  # match_geometry would crop or pad
    frames = volume.match_geometry(geometry, tol=1e-3).array
    return frames[np.argsort([plane.frame for plane in stack.planes], kind="stable")]


def _segments(labels: np.ndarray, facts: Mapping[str, Any], metadata: Path) -> list[Any]:
    import highdicom

    segments = facts.get("segments", {})
    unknown = sorted({str(int(value)) for value in np.unique(labels) if value} - segments.keys(), key=int)
    if unknown:
        which = ", ".join(unknown)
        raise InputError(f"{metadata} has no entry in `segments` for label {which}: add its name and codes.")
    family = highdicom.sr.CodedConcept("123110", "DCM", "Artificial Intelligence")
    algorithm = highdicom.AlgorithmIdentificationSequence(facts["name"], family, facts["version"])
    return [_described(int(number), segments[number], algorithm) for number in sorted(segments, key=int)]


def _described(number: int, segment: Mapping[str, Any], algorithm: Any) -> Any:
    import highdicom

    description = highdicom.seg.SegmentDescription(
        segment_number=number,
        segment_label=segment["label"],
        segmented_property_category=highdicom.sr.CodedConcept(*segment["category"]),
        segmented_property_type=highdicom.sr.CodedConcept(*segment["type"]),
        algorithm_type="AUTOMATIC",
        algorithm_identification=algorithm,
    )
    if "modifier" in segment:  # highdicom has no argument for it
        kind = description.SegmentedPropertyTypeCodeSequence[0]
        kind.SegmentedPropertyTypeModifierCodeSequence = [highdicom.sr.CodedConcept(*segment["modifier"])]
    return description


def _build(images: list[Any], frames: np.ndarray, segments: list[Any], facts: Mapping[str, Any]) -> Any:
    import highdicom

    from medseg import __version__

    return highdicom.seg.Segmentation(
        source_images=images,
        pixel_array=frames,
        segmentation_type="BINARY",
        segment_descriptions=segments,
        series_instance_uid=highdicom.UID(),
        series_number=_SERIES_NUMBER,
        sop_instance_uid=highdicom.UID(),
        instance_number=1,
        manufacturer="medseg",
        manufacturer_model_name=facts["name"],
        software_versions=__version__,
        device_serial_number=facts["version"],
        series_description=facts["name"],
        content_label="SEGMENTATION",
        content_description=facts["task"][:64],
        omit_empty_frames=bool(frames.any()),
    )
