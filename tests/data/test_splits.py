import random
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medseg.data import find_pairs, find_split, find_test_pairs, find_volume_pairs, split_pairs
from medseg.errors import InputError


def write_volume(path: Path) -> None:
    nibabel.save(nibabel.Nifti1Image(np.zeros((2, 2, 2), np.int16), np.eye(4)), path)


@pytest.fixture(params=["pictures", "volumes"])
def relative_dataset(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable:
    """What lists the pairs of the dataset folder `some/data` of the working directory, whose `train.txt` names b."""
    for folder in ("images", "masks"):
        (tmp_path / "some" / "data" / folder).mkdir(parents=True)
        for stem in ("a", "b"):
            if request.param == "pictures":
                (tmp_path / "some" / "data" / folder / f"{stem}.png").touch()
            else:
                write_volume(tmp_path / "some" / "data" / folder / f"{stem}.nii.gz")
    (tmp_path / "some" / "data" / "train.txt").write_text("b\n")
    monkeypatch.chdir(tmp_path)
    return find_pairs if request.param == "pictures" else find_volume_pairs


def stems(pairs: list[dict[str, str]]) -> list[str]:
    return [Path(pair["image"]).name.split(".")[0] for pair in pairs]


@pytest.mark.parametrize("dataset_dir", ["some/data", "./some/../some/data/", Path("some/data")])
@pytest.mark.parametrize("split_file", [None, "train.txt", "./train.txt", "{here}/some/data/train.txt"])
def test_relative_dataset_dir(
    relative_dataset: Callable, dataset_dir: str | Path, split_file: str | None, tmp_path: Path
) -> None:
    """Also the default `train.txt`, and a path that `find_split` has resolved already."""
    given_file = None if split_file is None else split_file.format(here=tmp_path)
    assert stems(relative_dataset(dataset_dir, find_split(dataset_dir, given_file, "train.txt"))) == ["b"]
    if given_file is not None:
        assert stems(relative_dataset(dataset_dir, given_file)) == ["b"]


def test_dataset_dir_is_the_working_directory(
    relative_dataset: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path / "some" / "data")
    assert stems(relative_dataset(".", find_split(".", None, "train.txt"))) == ["b"]


def test_relative_test_sets(relative_dataset: Callable) -> None:
    sets = {"A": ["some/data", "train.txt"], "B": "some/data"}
    assert stems(find_test_pairs(sets, "some/data", relative_dataset)) == ["b", "a", "b"]


def test_a_split_file_is_never_taken_from_the_working_directory(relative_dataset: Callable, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("a\n")
    with pytest.raises(InputError, match=f"The split file {tmp_path}/some/data/mine.txt cannot be read"):
        relative_dataset("some/data", find_split("some/data", "mine.txt", "train.txt"))


def test_split_file_is_the_one_asked_for_or_the_folders_own(tmp_path: Path) -> None:
    assert find_split(tmp_path, None, "train.txt") is None
    (tmp_path / "train.txt").write_text("a\n")
    assert find_split(tmp_path, None, "train.txt") == tmp_path / "train.txt"
    assert find_split(tmp_path, "mine.txt", "train.txt") == tmp_path / "mine.txt"  # missing: find_pairs says so


@settings(deadline=None, max_examples=40)
@given(
    count=st.integers(2, 60),
    fraction=st.floats(0.01, 0.99),
    seed=st.integers(0, 2**32),
    shuffle=st.randoms(use_true_random=False),
)
def test_split_is_a_stable_partition(count: int, fraction: float, seed: int, shuffle: random.Random) -> None:
    pairs = [{"image": f"/x/images/{n:03}.png", "label": f"/x/masks/{n:03}.png"} for n in range(count)]
    parts = split_pairs(pairs, fraction, seed)
    assert sorted(parts.training + parts.validation, key=str) == pairs
    assert min(len(parts.training), len(parts.validation)) >= 1
    assert abs(len(parts.validation) - fraction * count) <= 1
    moved = [dict(pair, image=pair["image"].replace("/x", "/elsewhere")) for pair in pairs]
    shuffle.shuffle(moved)
    again = split_pairs(moved, fraction, seed)
    for part, expected in zip(again, parts, strict=True):
        assert [Path(p["image"]).name for p in part] == [Path(p["image"]).name for p in expected]


def test_split_depends_on_the_seed_and_has_limits() -> None:
    pairs = [{"image": f"{n}.png", "label": f"{n}.png"} for n in range(40)]
    assert split_pairs(pairs, 0.5, 0) != split_pairs(pairs, 0.5, 1)
    with pytest.raises(InputError, match="1 pair cannot be divided"):
        split_pairs(pairs[:1], 0.5, 0)
    for fraction in (0, 1, -0.1):
        with pytest.raises(ValueError, match="val_fraction"):
            split_pairs(pairs, fraction, 0)
