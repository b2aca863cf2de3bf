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
