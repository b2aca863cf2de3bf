from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage
from skimage.filters import threshold_otsu

from medseg.data import check_pairs, decode_mask, decode_picture, find_pairs
from medseg.errors import InputError
from medseg.phantoms import polyp_phantom, write_phantoms
from medseg.phantoms.drawing import smooth_noise


def dice(prediction: np.ndarray, mask: np.ndarray) -> float:
    return 2 * float((prediction & mask).sum()) / max(int(prediction.sum() + mask.sum()), 1)


@pytest.fixture(scope="module")
def phantoms() -> list[tuple[np.ndarray, np.ndarray]]:
    return [polyp_phantom(index, (160, 192), seed=11) for index in range(40)]


@pytest.mark.parametrize("cell", [0.5, 2.0, 7.3, 50.0])
def test_noise_has_unit_variance_and_the_right_scale(cell: float) -> None:
    fields = np.stack([smooth_noise(np.random.default_rng(s), (90, 120), cell) for s in range(60)])
    assert fields.shape == (60, 90, 120)
    assert abs(fields.mean()) < 0.1
    assert 0.8 < fields.std() < 1.2
    neighbors = np.corrcoef(fields[:, :, 1:].ravel(), fields[:, :, :-1].ravel())[0, 1]
    assert neighbors > 0.7 if cell > 1 else abs(neighbors) < 0.05


def test_size_type_and_values(phantoms: list[tuple[np.ndarray, np.ndarray]]) -> None:
    for picture, mask in phantoms:
        assert (picture.shape, picture.dtype) == ((160, 192, 3), np.dtype(np.uint8))
        assert (mask.shape, mask.dtype) == ((160, 192), np.dtype(np.uint8))
        assert set(np.unique(mask)) <= {0, 255}
    with pytest.raises(ValueError, match="at least 64"):
        polyp_phantom(0, (63, 200), 0)


def test_same_index_and_seed_give_the_same_picture() -> None:
    first, again = (polyp_phantom(4, None, 2) for _ in range(2))
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])
    for index, seed in ((5, 2), (4, 3)):
        other = polyp_phantom(index, first[1].shape, seed)
        assert np.abs(other[0].astype(int) - first[0]).mean() > 3


def test_free_sizes_are_landscape_and_portrait() -> None:
    shapes = [polyp_phantom(index, None, 0)[1].shape for index in range(16)]
    assert len(set(shapes)) > 10
    assert any(height > width for height, width in shapes)
    assert any(height < width for height, width in shapes)


def test_number_and_area_of_polyps_vary(phantoms: list[tuple[np.ndarray, np.ndarray]]) -> None:
    counts = [ndimage.label(mask)[1] for _, mask in phantoms]
    areas = [np.mean(mask > 0) for _, mask in phantoms if mask.any()]
    assert sum(count == 1 for count in counts) > len(counts) / 2
    assert len(set(counts)) > 1
    assert max(areas) > 4 * min(areas)
    assert 0.05 < np.median(areas) < 0.25


def test_no_threshold_and_no_constant_finds_the_polyps(phantoms: list[tuple[np.ndarray, np.ndarray]]) -> None:
    scores = []
    for picture, mask in phantoms:
        channels = [*np.moveaxis(picture, -1, 0), picture.mean(axis=-1), np.ptp(picture, axis=-1)]
        bright = [channel > threshold_otsu(channel) for channel in channels]
        candidates = [*bright, *(~part for part in bright), np.ones_like(mask, bool)]
        scores.append([dice(candidate, mask > 0) for candidate in candidates])
    assert np.mean(scores, axis=0).max() < 0.4
    assert np.mean(np.max(scores, axis=1)) < 0.6


def test_written_set_is_a_dataset(tmp_path: Path) -> None:
    folder = write_phantoms("polyp", tmp_path / "deep" / "set", count=11, seed=3, size=(64, 80))
    pairs = find_pairs(folder)
    train, test = find_pairs(folder, "train.txt"), find_pairs(folder, "test.txt")
    assert (len(train), len(test)) == (9, 2)
    assert train + test == pairs
    check_pairs(pairs)
    picture, mask = polyp_phantom(10, (64, 80), 3)
    np.testing.assert_array_equal(decode_picture(pairs[10]["image"]), picture)
    np.testing.assert_array_equal(decode_mask(pairs[10]["label"])[..., 0], mask // 255)
    assert [path.name for path in folder.parent.iterdir()] == ["set"]


def test_set_is_reused_only_if_it_is_the_same(tmp_path: Path) -> None:
    write = partial(write_phantoms, "polyp", tmp_path / "set", seed=3, size=(64, 64))
    before = (write(count=2) / "train.txt").stat()
    assert (write(count=2) / "train.txt").stat() == before
    with pytest.raises(InputError, match="set holds something else"):
        write(count=3)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "precious.txt").touch()
    with pytest.raises(InputError, match="other holds something else"):
        write_phantoms("polyp", tmp_path / "other", 2, 3)
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["precious.txt"]


def test_writing_at_the_same_time(tmp_path: Path) -> None:
    write = partial(write_phantoms, "polyp", tmp_path / "set", seed=1, size=(64, 64))
    with ThreadPoolExecutor(4) as pool:
        folders = list(pool.map(write, [3] * 4))
    assert folders == [tmp_path / "set"] * 4
    assert [path.name for path in tmp_path.iterdir()] == ["set"]
    assert len(find_pairs(folders[0])) == 3


def test_bad_arguments(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="choose one of polyp"):
        write_phantoms("unicorn", tmp_path / "set", 4, 0)
    with pytest.raises(ValueError, match="at least 2"):
        write_phantoms("polyp", tmp_path / "set", 1, 0)
    assert not list(tmp_path.iterdir())
