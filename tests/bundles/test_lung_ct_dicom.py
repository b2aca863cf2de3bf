"""The same CT as NIfTI and as DICOM series gives the same label map, and the DICOM SEG is that label map."""

import json
import shutil
from pathlib import Path
from typing import Any

import highdicom
import nibabel
import numpy as np
import pytest
import torch
from dicom_files import nifti_affine, slices_of, turned, write_slices
from monai.transforms import LoadImage
from running import BUNDLES, run_here

from medseg.data import find_volumes
from medseg.errors import InputError
from medseg.phantoms import write_phantoms

BUNDLE = "ssformer_lung_ct_segmentation"
LUNG_BUNDLES = ("ssformer_lung_ct_segmentation", "msformer_lung_ct_segmentation")
KNOWN: dict[str, Any] = {
    "network_def": {"_target_": "known_lungs.DarkIsLung"},
    "spacing": [4.0, 4.0, 8.0],
    "image_size": 96,
}


def phantom_in(tmp_path: Path, size: tuple[int, int, int] = (44, 40, 12)) -> Path:
    return write_phantoms("lung_volume", tmp_path / "data", 2, 4, size) / "images" / "lung_volume_00000.nii.gz"


def segment(tmp_path: Path, source: Path, target: Path, **options: Any) -> None:
    torch.save({"gain": torch.tensor(20.0)}, tmp_path / "model.pt")
    folders = {"dataset_dir": str(source), "output_dir": str(target), "ckpt_dir": str(tmp_path)}
    run_here("run", BUNDLE, "inference", **folders, **{**KNOWN, **options})


def written(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.suffix in (".dcm", ".gz"))


def as_nifti(segmentation: Path, like: nibabel.Nifti1Image) -> np.ndarray:
    """A DICOM SEG on the voxels of `like`, by highdicom."""
    volume = highdicom.seg.segread(segmentation).get_volume(combine_segments=True, allow_missing_positions=True)
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ like.affine
    geometry = highdicom.VolumeGeometry(lps, spatial_shape=like.shape, coordinate_system="PATIENT")
    return volume.match_geometry(geometry, tol=1e-3).array


def assert_same_mask(tmp_path: Path, source: nibabel.Nifti1Image, **options: Any) -> None:
    """`source` as NIfTI and as series, one mask; `options` go to the bundle."""
    (tmp_path / "in").mkdir()
    nibabel.save(source, tmp_path / "in" / "case.nii.gz")
    units = np.asarray(source.dataobj).astype(np.int16)
    write_slices(tmp_path / "series" / "case", slices_of(units, source.affine))
    segment(tmp_path, tmp_path / "in", tmp_path / "nifti", **options)
    segment(tmp_path, tmp_path / "series" / "case", tmp_path / "dicom", output_format="both", **options)
    assert written(tmp_path / "nifti") == ["case.nii.gz"]
    assert written(tmp_path / "dicom") == ["case.dcm", "case.nii.gz"]
    wanted = nibabel.load(tmp_path / "nifti" / "case.nii.gz")
    found = nibabel.load(tmp_path / "dicom" / "case.nii.gz")
    assert set(np.unique(wanted.dataobj)) == {0, 1, 2}
    turned_back = LoadImage(image_only=True)(tmp_path / "dicom" / "case.nii.gz")
    assert turned_back.shape == found.shape
    # the series' own voxels may run the other way; highdicom brings both to those of the NIfTI
    reverse = nibabel.orientations.ornt_transform(
        nibabel.io_orientation(found.affine), nibabel.io_orientation(wanted.affine)
    )
    np.testing.assert_array_equal(np.asarray(found.as_reoriented(reverse).dataobj), np.asarray(wanted.dataobj))
    np.testing.assert_allclose(found.as_reoriented(reverse).affine, wanted.affine, atol=1e-3)
    np.testing.assert_array_equal(as_nifti(tmp_path / "dicom" / "case.dcm", wanted), np.asarray(wanted.dataobj))


@pytest.mark.parametrize("axes", [((-1, 0, 0), (0, -1, 0), (0, 0, 1)), ((1, 0, 0), (0, 1, 0), (0, 0, 1)), turned(10)])
def test_the_same_mask_from_dicom(axes: Any, tmp_path: Path) -> None:
    phantom = phantom_in(tmp_path)
    volume = nibabel.load(phantom)
    spacing = np.linalg.norm(volume.affine[:3, :3], axis=0)
    assert_same_mask(tmp_path, nibabel.Nifti1Image(np.asarray(volume.dataobj), nifti_affine(axes, spacing)))


def test_the_same_mask_of_a_real_ct(data_dir: Path, tmp_path: Path) -> None:
    (path,) = (data_dir / "volume" / "ct_whole").rglob("*.nii.gz")
    assert_same_mask(tmp_path, nibabel.load(path), spacing=[3.0, 3.0, 3.0], image_size=128)


def test_formats(tmp_path: Path) -> None:
    phantom = phantom_in(tmp_path)
    volume = nibabel.load(phantom)
    write_slices(tmp_path / "in" / "a", slices_of(np.asarray(volume.dataobj), volume.affine))
    shutil.make_archive(str(tmp_path / "b"), "zip", tmp_path / "in" / "a")
    segment(tmp_path, tmp_path / "in", tmp_path / "auto")
    segment(tmp_path, tmp_path / "b.zip", tmp_path / "nifti", output_format="nifti")
    segment(tmp_path, phantom, tmp_path / "from_nifti", output_format="dicom_seg")
    assert written(tmp_path / "auto") == ["a.dcm"]
    assert written(tmp_path / "nifti") == ["b.nii.gz"]
    assert written(tmp_path / "from_nifti") == [phantom.name]
    with pytest.raises(RuntimeError) as error:
        segment(tmp_path, phantom, tmp_path / "wrong", output_format="png")
    causes = [error.value, error.value.__cause__]
    assert any("output_format must be one of auto, nifti, dicom_seg, both" in str(cause) for cause in causes)


def test_a_broken_series_does_not_stop_the_others(tmp_path: Path) -> None:
    phantom = phantom_in(tmp_path)
    volume = nibabel.load(phantom)
    for name in ("good", "gap", "torn"):
        paths = write_slices(tmp_path / "in" / name, slices_of(np.asarray(volume.dataobj), volume.affine))
        if name == "gap":
            paths[5].unlink()
        if name == "torn":
            paths[5].write_bytes(paths[5].read_bytes()[:-99])
    with pytest.raises(RuntimeError) as error:
        segment(tmp_path, tmp_path / "in", tmp_path / "out")
    assert isinstance(error.value.__cause__, InputError)
    sentence = str(error.value.__cause__)
    assert sentence.startswith("2 ")
    assert "gap misses 1 slices" in sentence
    assert paths[5].name in sentence
    assert written(tmp_path / "out") == ["good.dcm"]


@pytest.mark.parametrize("name", LUNG_BUNDLES)
def test_segments_are_the_classes(name: str) -> None:
    facts = json.loads((BUNDLES / name / "configs" / "metadata.json").read_text())
    classes = facts["network_data_format"]["outputs"]["pred"]["channel_def"]
    assert {"0": "background", **{number: s["label"] for number, s in facts["segments"].items()}} == classes
    for segment_facts in facts["segments"].values():
        for code in (segment_facts[key] for key in segment_facts if key != "label"):
            value, scheme, meaning = code
            assert value.isdigit()
            assert scheme == "SCT"
            assert meaning


def test_msformer_writes_dicom_too(tmp_path: Path) -> None:
    phantom = phantom_in(tmp_path, (33, 36, 8))
    volume = nibabel.load(phantom)
    write_slices(tmp_path / "in", slices_of(np.asarray(volume.dataobj), volume.affine))
    options = {"image_size": 33, "max_steps": 1, "device": "cpu", "output_dir": str(tmp_path / "out")}
    configs = ("inference", "inference_volumes")
    run_here("run", "msformer_lung_ct_segmentation", *configs, dataset_dir=str(tmp_path / "in"), **options)
    assert "in.dcm" in written(tmp_path / "out")
    assert len(find_volumes(tmp_path / "in")) == 1


def test_records_pictures_and_going_on(tmp_path: Path) -> None:
    volume = nibabel.load(phantom_in(tmp_path))
    units = np.asarray(volume.dataobj)
    for name in ("p1/CT", "p2/CT"):
        write_slices(tmp_path / "in" / name, slices_of(units, volume.affine))
    (tmp_path / "nifti").mkdir()
    nibabel.save(volume, tmp_path / "nifti" / "p1_CT.nii.gz")
    segment(tmp_path, tmp_path / "in" / "p1", tmp_path / "out")
    segment(tmp_path, tmp_path / "in", tmp_path / "both")
    segment(tmp_path, tmp_path / "nifti", tmp_path / "from_nifti")
    record, wanted = (
        json.loads((tmp_path / folder / "records" / "p1_CT.json").read_text()) for folder in ("both", "from_nifti")
    )
    assert record["outputs"] == {"mask": "p1_CT.dcm", "dicom_seg": "p1_CT.dcm", "picture": "pictures/p1_CT.png"}
    for found, same in zip(record["measurements"], wanted["measurements"], strict=True):
        assert found["voxels"] == same["voxels"] > 0
        assert found["volume_ml"] == pytest.approx(same["volume_ml"])
        assert found["mean_intensity"] == pytest.approx(same["mean_intensity"])
    pictures = [(tmp_path / folder / "pictures" / "p1_CT.png").read_bytes() for folder in ("both", "from_nifti")]
    assert pictures[0] == pictures[1]
    # what is done is not done again
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "both").glob("*.dcm")}
    (tmp_path / "both" / "records" / "p2_CT.json").unlink()
    segment(tmp_path, tmp_path / "in", tmp_path / "both")
    changed = [path.name for path, time in before.items() if path.stat().st_mtime_ns != time]
    assert changed == ["p2_CT.dcm"]
    assert len(before) == 2
