from pathlib import Path

import nibabel
import numpy as np
import pytest
from monai.transforms import Compose, LoadImaged

from medseg.data import FaultTolerantDataset, VolumeReader, find_volumes
from medseg.errors import InputError


def write(path: Path, shape: tuple[int, ...] = (3, 4, 5)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(np.zeros(shape, np.int16), np.eye(4)), path)
    return path


def test_finds_a_file_a_folder_and_its_images(tmp_path: Path) -> None:
    first, second = write(tmp_path / "a" / "x.nii.gz"), write(tmp_path / "a" / "y.nii")
    (tmp_path / "a" / "note.txt").write_text("")
    assert find_volumes(first) == [{"image": str(first)}]
    assert find_volumes(tmp_path / "a") == [{"image": str(first)}, {"image": str(second)}]
    inner = write(tmp_path / "b" / "images" / "z.nii")
    assert find_volumes(tmp_path / "b") == [{"image": str(inner)}]


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no volumes"):
        find_volumes(tmp_path)
    with pytest.raises(InputError, match="not a NIfTI"):
        find_volumes(tmp_path / "missing")


def test_broken_volumes_are_told_from_readable_ones(tmp_path: Path) -> None:
    good, flat = write(tmp_path / "good.nii.gz"), write(tmp_path / "flat.nii.gz", (3, 4))
    torn, blank = tmp_path / "torn.nii.gz", tmp_path / "blank.nii"
    torn.write_bytes(good.read_bytes()[:60])
    nibabel.save(nibabel.Nifti1Image(np.full((3, 4, 5), np.nan, np.float32), np.eye(4)), blank)
    data = FaultTolerantDataset(
        [{"image": str(path)} for path in (good, flat, torn, blank)],
        Compose([LoadImaged("image", reader=VolumeReader)]),
    )
    assert data[0]["image"].shape == (3, 4, 5)
    problems = [data[index].problem for index in (1, 2, 3)]
    assert problems[0] == f"{flat} has 2 axes: give a volume of three."
    assert problems[1].startswith(f"{torn} cannot be read (")
    assert problems[2] == f"{blank} holds no finite value: export it again."


def problem_of(path: Path) -> str:
    return FaultTolerantDataset([{"image": str(path)}], Compose([LoadImaged("image", reader=VolumeReader)]))[0].problem


def save_with(path: Path, values: np.ndarray, qform: list[float], sform: list[float], unit: str = "mm") -> Path:
    image = nibabel.Nifti1Image(values, None)
    image.header.set_qform(np.diag([*qform, 1]), 1)
    image.header.set_sform(np.diag([*sform, 1]), 1)
    image.header.set_xyzt_units(unit)
    nibabel.save(image, path)
    return path


def test_qform_and_sform_that_disagree(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    values = np.ones((3, 4, 5), np.int16)
    path = save_with(tmp_path / "a.nii", values, [3, 3, 3], [1, 1, 1])
    problem = problem_of(path)
    assert problem.startswith(f"{path} has qform (3 x 3 x 3 mm, RAS) and sform (1 x 1 x 1 mm, RAS) that disagree: ")
    assert "LAS" in problem_of(save_with(tmp_path / "b.nii", values, [1, 1, 1], [-1, 1, 1]))
    image = nibabel.load(save_with(tmp_path / "c.nii", values, [2, 2, 2], [2, 2, 2]))
    moved = image.affine.copy()
    moved[0, 3] += 7
    image.header.set_sform(moved, 2)
    nibabel.save(nibabel.Nifti1Image(values, None, image.header), tmp_path / "d.nii")
    _, meta = VolumeReader().get_data(tmp_path / "d.nii")
    np.testing.assert_array_equal(meta["affine"], moved)
    assert "the sform is used" in caplog.text


@pytest.mark.parametrize(("unit", "factor"), [("meter", 1000), ("micron", 0.001), ("mm", 1), ("unknown", 1)])
def test_units_are_honored(unit: str, factor: float, tmp_path: Path) -> None:
    spacing = [2 / factor] * 3
    path = save_with(tmp_path / "a.nii", np.ones((3, 4, 5), np.int16), spacing, spacing, unit)
    _, meta = VolumeReader().get_data(path)
    np.testing.assert_allclose(meta["affine"], np.diag([2, 2, 2, 1]), rtol=1e-6)


def test_infinite_values_and_colors_are_refused(tmp_path: Path) -> None:
    values = np.zeros((3, 4, 5), np.float32)
    values[0, 0, 0] = np.inf
    nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), tmp_path / "inf.nii")
    assert "holds infinite values" in problem_of(tmp_path / "inf.nii")
    colors = np.zeros((3, 4, 5), np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")]))
    nibabel.save(nibabel.Nifti1Image(colors, np.eye(4)), tmp_path / "rgb.nii")
    assert "holds colors" in problem_of(tmp_path / "rgb.nii")


def test_a_header_that_declares_too_much_is_refused_before_reading(tmp_path: Path) -> None:
    path = write(tmp_path / "a.nii")
    data = bytearray(path.read_bytes())
    data[42:48] = np.array([32_000] * 3, "<i2").tobytes()
    path.write_bytes(data)
    assert "declares 32000 x 32000 x 32000 voxels" in problem_of(path)


def test_a_name_that_is_no_utf8_costs_its_case_only(tmp_path: Path) -> None:
    write(tmp_path / "good.nii")
    (tmp_path / b"\xff.nii".decode("utf-8", "surrogateescape")).write_bytes((tmp_path / "good.nii").read_bytes())
    items = find_volumes(tmp_path)
    results = list(FaultTolerantDataset(items, Compose([LoadImaged("image", reader=VolumeReader)])))
    (failure,) = [result for result in results if not isinstance(result, dict)]
    assert "has a name that is no UTF-8: rename it" in failure.problem
    "".join(failure).encode()
    assert len(results) == 2
