from pathlib import Path

import nibabel
import numpy as np
import pytest

from medseg.data import check_volume_pairs, find_test_pairs, find_volume_pairs, find_volumes
from medseg.errors import InputError
from medseg.phantoms import lung_volume_phantom, write_phantoms

SMALL = (36, 32, 10)


def write(path: Path, shape: tuple[int, ...] = (3, 4, 5), affine: np.ndarray | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(np.zeros(shape, np.int16), np.eye(4) if affine is None else affine), path)


def test_left_and_right_lie_where_the_affine_says() -> None:
    turned = set()
    for index in range(6):
        phantom = lung_volume_phantom(index, None, 3)
        assert (phantom.units.shape, phantom.units.dtype) == ((64, 56, 24), np.dtype(np.int16))
        turned.add(tuple(np.sign(np.diag(phantom.affine)[:2])))
        center = phantom.affine @ [31.5, 27.5, 11.5, 1]
        places = {
            value: (phantom.affine @ [*np.argwhere(phantom.labels == value).mean(0), 1] - center)[:3]
            for value in range(10, 15)
        }
        assert set(np.unique(phantom.labels)) == {0, *places}
        assert max(places[10][0], places[11][0]) < -20  # mm, to the left
        assert min(places[12][0], places[13][0], places[14][0]) > 20
        assert places[10][2] > places[11][2]  # upper above lower
        assert places[13][1] > places[14][1]  # middle before lower
        lungs = phantom.labels > 0
        assert np.median(phantom.units[lungs]) < -700
        heart_and_vessels = phantom.units[~lungs & (phantom.units > -200)]
        assert len(heart_and_vessels) > lungs.sum()
    assert len(turned) > 1


def test_a_volume_is_decided_by_index_and_seed() -> None:
    first, again = (lung_volume_phantom(2, SMALL, 5) for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    for index, seed in ((3, 5), (2, 6)):
        assert not np.array_equal(lung_volume_phantom(index, SMALL, seed).units, first.units)
    for size in ((31, 40, 10), (40, 40), (40, 40, 7)):
        with pytest.raises(ValueError, match="at least 32 x 32 x 8"):
            lung_volume_phantom(0, size, 0)


def test_written_set_is_a_dataset(tmp_path: Path) -> None:
    folder = write_phantoms("lung_volume", tmp_path / "set", 6, 1, SMALL)
    pairs = find_volume_pairs(folder)
    check_volume_pairs(pairs)
    train, test = (find_volume_pairs(folder, name) for name in ("train.txt", "test.txt"))
    assert (len(train), len(test)) == (5, 1)
    assert train + test == pairs
    phantom = lung_volume_phantom(5, SMALL, 1)
    image, label = (nibabel.load(pairs[5][key]) for key in ("image", "label"))
    np.testing.assert_array_equal(np.asarray(image.dataobj), phantom.units)
    np.testing.assert_array_equal(np.asarray(label.dataobj), phantom.labels)
    np.testing.assert_allclose(image.affine, phantom.affine, rtol=1e-6)
    sets = find_test_pairs({"a": folder, "b": [folder, "train.txt"]}, "", find_volume_pairs)
    assert [item["set_name"] for item in sets] == ["a"] + ["b"] * 5


def test_suffixes_and_masks_folder_and_split(tmp_path: Path) -> None:
    for name in ("images/a.nii", "masks/a.nii.gz", "images/b.c.nii.gz", "masks/b.c.nii", "images/.x.nii"):
        write(tmp_path / name)
    (tmp_path / "some.txt").write_text("b.c.nii.gz\n\n")
    both = find_volume_pairs(tmp_path)
    assert [Path(pair["label"]).name for pair in both] == ["a.nii.gz", "b.c.nii"]
    assert find_volume_pairs(tmp_path, "some.txt") == both[1:]
    (tmp_path / "other.txt").write_text("nobody\n")
    with pytest.raises(InputError, match="names nobody"):
        find_volume_pairs(tmp_path, "other.txt")


def test_what_is_missing_or_double_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        find_volume_pairs(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"no folder images/: put the volumes there \(nii\.gz, nii\)"):
        find_volume_pairs(tmp_path)
    write(tmp_path / "images" / "a.nii")
    with pytest.raises(InputError, match="no folder masks/"):
        find_volume_pairs(tmp_path)
    (tmp_path / "masks").mkdir()
    with pytest.raises(InputError, match="masks holds no volumes"):
        find_volume_pairs(tmp_path)
    write(tmp_path / "labels" / "b.nii")
    with pytest.raises(InputError, match=r"images/a\.nii \(no label map\), labels/b\.nii \(no volume\)"):
        find_volume_pairs(tmp_path)
    write(tmp_path / "images" / "a.nii.gz")
    with pytest.raises(InputError, match=r"a\.nii / a\.nii\.gz"):
        find_volume_pairs(tmp_path)


def test_bad_pairs_are_all_named(tmp_path: Path) -> None:
    shifted = np.eye(4)
    shifted[2, 3] = 5
    for name in ("moved", "cut", "torn", "good"):
        write(tmp_path / "images" / f"{name}.nii")
    write(tmp_path / "labels" / "moved.nii", affine=shifted)
    write(tmp_path / "labels" / "cut.nii", (3, 4, 4))
    write(tmp_path / "labels" / "good.nii")
    (tmp_path / "labels" / "torn.nii").write_bytes(b"torn")
    with pytest.raises(InputError, match="3 of 4 volumes") as error:
        check_volume_pairs(find_volume_pairs(tmp_path))
    for part in ("moved.nii has another affine", "cut.nii has the shape (3, 4, 4)", "torn.nii cannot be read"):
        assert part in str(error.value)
    with pytest.raises(InputError, match="is empty"):
        check_volume_pairs([{"image": "a", "label": "b"}], [])


def test_two_volumes_of_one_stem_would_overwrite_each_other(tmp_path: Path) -> None:
    for name in ("a.nii", "a.nii.gz"):
        (tmp_path / name).touch()
    with pytest.raises(InputError, match=r"a\.nii / a\.nii\.gz.*remove one"):
        find_volumes(tmp_path)
