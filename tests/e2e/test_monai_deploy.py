"""The MONAI Deploy application on a DICOM series: its DICOM SEG is in place, voxel for voxel."""

import os
import shutil
import subprocess
import zipfile
from pathlib import Path

import highdicom
import nibabel
import numpy as np
import pytest
import torch
from dicom_files import slices_of, write_slices
from monai.bundle import ckpt_export
from nibabel.orientations import axcodes2ornt, ornt_transform
from pydicom.dataset import Dataset
from running import run_here
from torch import nn

from medseg.bundle.export import export_bundle, set_values
from medseg.networks import SSFormer

ROOT = Path(__file__).parents[2]
BUNDLE = ROOT / "bundles" / "ssformer_lung_ct_segmentation"
ENVIRONMENT = Path(os.environ.get("DEPLOY_ENV", ROOT / ".venv-deploy"))
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not ENVIRONMENT.is_dir(), reason="scripts/deploy_setup.sh has not made MONAI Deploy's environment"
    ),
]
SPACING = (2.0, 2.5, 3.0)  # mm to the right, to the front, up: that of the series, so that nothing is interpolated
RIGHTWARDS = np.diag([*SPACING, 1.0])


def chest() -> tuple[np.ndarray, np.ndarray]:
    """HU and labels `[to the right, to the front, up]`: a large left lung (1), a small right lung (2).

    No air around: the first slice has no negative value, and the pixels are not square. The SDK fails in both cases.
    """
    volume, labels = np.full((40, 36, 14), 40.0), np.zeros((40, 36, 14), np.uint8)
    labels[2:18, 4:33, 2:13] = 1
    labels[22:35, 5:28, 3:10] = 2
    volume[labels > 0] = -800
    return volume, labels


def turned_to(axes: str, array: np.ndarray) -> nibabel.Nifti1Image:
    """The same voxels in another order of axes, by nibabel."""
    image = nibabel.Nifti1Image(array, RIGHTWARDS)
    return image.as_reoriented(ornt_transform(axcodes2ornt("RAS"), axcodes2ornt(axes)))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`model.ts` of a network with a known answer and the bundle's configs, by MONAI's own command."""
    folder = tmp_path_factory.mktemp("deploy")
    for name in ("inference.yaml", "metadata.json"):
        shutil.copy(BUNDLE / "configs" / name, folder)
    set_values(folder / "inference.yaml", {"image_size": 64, "spacing": list(SPACING), "device": "cpu"})
    torch.save({"gain": torch.tensor(20.0)}, folder / "model.pt")
    ckpt_export(
        net_id="network_def",
        filepath=str(folder / "model.ts"),
        ckpt_file=str(folder / "model.pt"),
        meta_file=str(folder / "metadata.json"),
        config_file=str(folder / "inference.yaml"),
        network_def={"_target_": "known_lungs.DarkIsLung"},
    )
    return folder / "model.ts"


def run_app(series: Path, results: Path, model: Path) -> subprocess.CompletedProcess[str]:
    command = [
        ENVIRONMENT / "bin" / "python",
        ROOT / "scripts" / "deploy_app.py",
        "-i",
        series,
        "-o",
        results,
        "-m",
        model,
    ]
    return subprocess.run(
        ["bash", "-c", 'ulimit -s 32768; exec "$@"', "bash", *map(str, command)],
        cwd=series.parent,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=3600,
        check=False,
    )


def labels_of(file: Path, slices: list[Dataset]) -> np.ndarray:
    """The label map `[slice, row, column]` that a DICOM SEG puts on these slices, by highdicom."""
    instances = [one.SOPInstanceUID for one in slices]
    segmentation = highdicom.seg.segread(file)
    return segmentation.get_pixels_by_source_instance(
        instances, combine_segments=True, assert_missing_frames_are_empty=True
    )


def center(network: SSFormer, means: torch.Tensor) -> None:
    """Take `means` of the logits from the last bias."""
    *_, last = (module for module in network.modules() if isinstance(module, nn.Conv2d) and module.out_channels == 3)
    last.bias -= means


@pytest.mark.parametrize("axes", ["LPS", "PIL"], ids=["axial", "sagittal"])
def test_the_segmentation_is_in_place(axes: str, model: Path, tmp_path: Path) -> None:
    volume, labels = (turned_to(axes, array) for array in chest())
    slices = slices_of(volume.get_fdata(), volume.affine)
    write_slices(tmp_path / "series", slices)
    done = run_app(tmp_path / "series", tmp_path / "results", model)
    assert done.returncode == 0, done.stderr
    (file,) = (tmp_path / "results").iterdir()
    found = highdicom.seg.segread(file)
    assert [found.get_segment_description(i).segment_label for i in (1, 2)] == ["left lung", "right lung"]
    assert found.SeriesDescription == "SSFormer lung CT segmentation, research only"
    assert found.StudyInstanceUID == slices[0].StudyInstanceUID
    np.testing.assert_array_equal(labels_of(file, slices), np.asarray(labels.dataobj).transpose(2, 1, 0))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["results", "series"]


def test_what_medseg_exports_gives_the_bundle_s_own_mask(tmp_path: Path) -> None:
    """A small SSFormer, by `medseg export` and Deploy from DICOM, and by the bundle from NIfTI."""
    volume = turned_to("LPS", chest()[0])
    values = {"encoder": "mit_b0", "decoder_channels": 8, "image_size": 64, "spacing": list(SPACING)}
    network = SSFormer(in_channels=3, out_channels=3, encoder="mit_b0", decoder_channels=8).eval()
    with torch.no_grad():  # no class is to win everywhere
        logits = network(torch.rand(2, 3, 64, 64))
        center(network, logits.mean((0, 2, 3)))
    torch.save(network.state_dict(), tmp_path / "model.pt")
    export_bundle(BUNDLE, tmp_path / "a.zip", tmp_path / "model.pt", values, onnx=False)
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        (tmp_path / "model.ts").write_bytes(archive.read(f"{BUNDLE.name}/models/model.ts"))
    slices = slices_of(volume.get_fdata(), volume.affine)
    write_slices(tmp_path / "series", slices)
    done = run_app(tmp_path / "series", tmp_path / "results", tmp_path / "model.ts")
    assert done.returncode == 0, done.stderr
    (file,) = (tmp_path / "results").iterdir()
    nibabel.save(volume, tmp_path / "case.nii.gz")
    folders = {
        "dataset_dir": str(tmp_path / "case.nii.gz"),
        "output_dir": str(tmp_path / "out"),
        "ckpt_dir": str(tmp_path),
    }
    run_here("inferring", BUNDLE.name, "inference", **folders, **values)
    mask = np.asarray(nibabel.load(tmp_path / "out" / "case.nii.gz").dataobj).transpose(2, 1, 0)
    assert len(np.unique(mask)) == 3
    assert (labels_of(file, slices) != mask).mean() < 1e-3  # TorchScript rounds otherwise, where two classes are equal


@pytest.mark.parametrize("missing", ["series", "model"])
def test_what_is_missing_is_an_error(missing: str, model: Path, tmp_path: Path) -> None:
    (tmp_path / "series").mkdir()
    done = run_app(tmp_path / "series", tmp_path / "results", model if missing == "series" else tmp_path / "none.ts")
    assert done.returncode != 0
    assert {"series": "No study loaded", "model": "none.ts"}[missing] in done.stderr
    assert not list(tmp_path.rglob("*.dcm"))
