from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medseg.data import check_pairs, find_pairs
from medseg.errors import InputError

MASK = np.zeros((40, 56), np.uint8)
MASK[5:20, 10:50] = 255


@pytest.fixture
def root(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
    for name in ("a", "b", "c", "d", "e", "f", "g"):
        save(tmp_path / "images" / f"{name}.png", rng.integers(0, 255, (*MASK.shape, 3), np.uint8))
        save(tmp_path / "masks" / f"{name}.png", MASK)
    return tmp_path


def save(path: Path, array: np.ndarray, **options: object) -> None:
    Image.fromarray(array).save(path, **options)


def snapshot(root: Path) -> dict[Path, tuple[int, int]]:
    return {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in root.rglob("*")}


def test_good_pairs_pass(root: Path) -> None:
    save(root / "masks" / "a.png", MASK // 255)
    save(root / "masks" / "b.png", MASK * 0)
    (root / "masks" / "c.png").unlink()
    save(root / "masks" / "c.jpg", MASK, quality=75)
    before = snapshot(root)
    check_pairs(find_pairs(root))
    assert snapshot(root) == before


def test_all_problems_in_one_error(root: Path) -> None:
    pairs = find_pairs(root)
    (root / "images" / "a.png").write_bytes((root / "images" / "a.png").read_bytes()[:200])
    save(root / "masks" / "b.png", MASK[:-1])
    save(root / "masks" / "c.png", np.linspace(0, 255, MASK.size).reshape(MASK.shape).astype(np.uint8))
    (root / "masks" / "d.png").unlink()
    save(root / "masks" / "e.png", MASK // 255 * 2)
    exif = Image.Exif()
    exif[274] = 6
    save(root / "images" / "f.png", MASK, exif=exif)
    before = snapshot(root)
    with pytest.raises(InputError) as error:
        check_pairs(pairs)
    assert snapshot(root) == before
    head, *lines = str(error.value).splitlines()
    assert head == "6 problems in 7 pairs of image and mask:"
    kinds = {line.split(",")[0].split(" (")[0]: line for line in lines}
    assert kinds["- missing file"].endswith(f"(1): {root / 'masks' / 'd.png'}")
    assert kinds["- unreadable file"].endswith(f"(1): {root / 'images' / 'a.png'}")
    sizes = kinds["- image and mask differ in size"]
    assert f"{root / 'masks' / 'b.png'} is 39 x 56, its image 40 x 56," in sizes
    assert "f.png is 40 x 56, its image 56 x 40 after its EXIF rotation" in sizes
    assert kinds["- mask that is not black and white"].endswith(f"(1): {root / 'masks' / 'c.png'}")
    assert "e.png (largest value 2)" in kinds["- mask that is not empty but nowhere brighter than 127"]


def test_long_lists_are_cut(root: Path) -> None:
    pairs = [{"image": str(root / "images" / "a.png"), "label": str(root / f"{n:02}.png")} for n in range(25)]
    with pytest.raises(InputError, match=r"\(25\): .*09\.png and 15 more$"):
        check_pairs(pairs)


def test_no_pairs() -> None:
    with pytest.raises(InputError, match="empty"):
        check_pairs([])
