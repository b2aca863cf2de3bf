from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medseg.data import MaskReader, check_pairs, find_pairs
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


def palette_mask(path: Path, classes: np.ndarray, *colors: tuple[int, int, int]) -> None:
    image = Image.fromarray(classes)
    image.putpalette([part for color in colors for part in color])
    image.save(path)


def shapes(size: int = 120, small: int = 9) -> np.ndarray:
    """A large class 2 and a small class 1, which is about 1.5 % of the foreground."""
    classes = np.zeros((size, size), np.uint8)
    classes[20:90, 35:110] = 2
    classes[5 : 5 + small, 5 : 5 + small] = 1
    return classes


@pytest.mark.parametrize("values", [(0, 128, 255), (0, 1, 255), (0, 60, 220), (0, 150, 255)])
def test_a_mask_of_several_classes_is_refused_for_two(tmp_path: Path, values: tuple[int, int, int]) -> None:
    save(tmp_path / "a.png", np.array(values, np.uint8)[shapes()])
    save(tmp_path / "image.png", shapes())
    pairs = [{"image": str(tmp_path / "image.png"), "label": str(tmp_path / "a.png")}]
    with pytest.raises(
        InputError, match=rf"mask of more than two values, list its classes.*a.png \(also {values[1]}\)"
    ):
        check_pairs(pairs)
    check_pairs(pairs, reader=MaskReader(3, values))


def test_a_palette_of_several_classes_is_refused_for_two(tmp_path: Path) -> None:
    save(tmp_path / "image.png", shapes())
    pairs = [{"image": str(tmp_path / "image.png"), "label": str(tmp_path / "a.png")}]
    palette_mask(tmp_path / "a.png", shapes(), (0, 0, 0), (255, 0, 0), (255, 255, 0))
    with pytest.raises(InputError, match="list its classes"):
        check_pairs(pairs)
    palette_mask(tmp_path / "a.png", shapes(), (0, 0, 0), (128, 0, 0), (0, 128, 0))
    with pytest.raises(InputError, match="name its classes"):
        check_pairs(pairs)
    check_pairs(pairs, reader=MaskReader(3))


@pytest.mark.parametrize("quality", [20, 50, 75, 95])
def test_noise_of_jpeg_and_soft_outlines_are_no_classes(tmp_path: Path, quality: int) -> None:
    row, column = np.mgrid[:200, :240]
    mask = (((row - 90) ** 2 + (column - 120) ** 2 < 900) * 255).astype(np.uint8)
    save(tmp_path / "image.png", mask)
    save(tmp_path / "a.jpg", mask, quality=quality)
    with Image.open(tmp_path / "a.jpg") as noisy:
        noisy.save(tmp_path / "a.png")
    soft = Image.fromarray(mask).resize((60, 50), Image.Resampling.BOX).resize((240, 200), Image.Resampling.BICUBIC)
    soft.save(tmp_path / "soft.png")
    for name in ("a.jpg", "a.png", "soft.png"):
        check_pairs([{"image": str(tmp_path / "image.png"), "label": str(tmp_path / name)}])


def test_values_of_no_class_are_listed(root: Path) -> None:
    save(root / "masks" / "b.png", MASK // 255 * 9)
    with pytest.raises(InputError, match=r"mask with values of no class, .* as ignore \(1\): .*b.png \(9\)$"):
        check_pairs(find_pairs(root), reader=MaskReader(3, [0, 100, 255]))
    check_pairs(find_pairs(root), reader=MaskReader(3, [0, 9, 255]))
