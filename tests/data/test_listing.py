import os
from collections.abc import Iterable
from pathlib import Path

import pytest

from medseg.data import check_pairs, find_images, find_pairs, find_test_pairs
from medseg.errors import InputError


def touch(folder: Path, names: Iterable[str]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch()
    return folder


def dataset(root: Path, images: Iterable[str], masks: Iterable[str]) -> Path:
    touch(root / "images", images)
    touch(root / "masks", masks)
    return root


def test_pairs_have_the_same_stem_and_are_sorted(tmp_path: Path) -> None:
    dataset(
        tmp_path, ["b.JPG", "a.1.tif", "c.bmp", ".c.png", "notes.txt"], ["c.jpeg", "b.png", "a.1.TIFF", "Thumbs.db"]
    )
    assert find_pairs(tmp_path) == [
        {"image": str(tmp_path / "images" / image), "label": str(tmp_path / "masks" / mask)}
        for image, mask in [("a.1.tif", "a.1.TIFF"), ("b.JPG", "b.png"), ("c.bmp", "c.jpeg")]
    ]


@pytest.mark.parametrize("absolute", [True, False])
def test_split_file(tmp_path: Path, absolute: bool) -> None:
    dataset(tmp_path, ["a.png", "b.v2.png", "c.png", "no_mask.png"], ["a.png", "b.v2.png", "c.png"])
    (tmp_path / "some.txt").write_bytes("\ufeffimages/c.JPG\r\n\r\n b.v2 \r\nc\r\n".encode())
    pairs = find_pairs(str(tmp_path), tmp_path / "some.txt" if absolute else "some.txt")
    assert [Path(pair["image"]).name for pair in pairs] == ["b.v2.png", "c.png"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a\nlost\nx.png", r"some\.txt names lost, x,"),
        ("\n \n", r"some\.txt is empty"),
        (None, r"some\.txt cannot be read"),
        ("a\nno_mask", r"images/no_mask\.png \(no mask\)"),
    ],
)
def test_bad_split_file(tmp_path: Path, text: str | None, message: str) -> None:
    dataset(tmp_path, ["a.png", "no_mask.png"], ["a.png"])
    if text is not None:
        (tmp_path / "some.txt").write_text(text)
    with pytest.raises(InputError, match=message):
        find_pairs(tmp_path, "some.txt")


def test_missing_counterparts_are_all_named(tmp_path: Path) -> None:
    dataset(tmp_path, ["a.png", *(f"i{n:02}.png" for n in range(12))], ["a.png", "m.jpg"])
    with pytest.raises(InputError, match=r"images/i09\.png \(no mask\) and 3 more"):
        find_pairs(tmp_path)
    dataset(tmp_path / "other", ["a.png", "i.png"], ["a.png", "m.jpg"])
    with pytest.raises(InputError, match=r"images/i\.png \(no mask\), masks/m\.jpg \(no image\)"):
        find_pairs(tmp_path / "other")


def test_one_stem_twice(tmp_path: Path) -> None:
    dataset(tmp_path, ["a.png"], ["a.png", "a.jpg", "b.png"])
    with pytest.raises(InputError, match=r"masks .*a\.jpg / a\.png"):
        find_pairs(tmp_path)


def test_missing_and_empty_folders(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"folder .*nowhere does not exist: set dataset_dir"):
        find_pairs(tmp_path / "nowhere")
    with pytest.raises(InputError, match="no folder images/"):
        find_pairs(tmp_path)
    touch(tmp_path / "images", ["a.png"])
    with pytest.raises(InputError, match="no folder masks/"):
        find_pairs(tmp_path)
    touch(tmp_path / "masks", ["readme.txt"])
    with pytest.raises(InputError, match="masks holds no pictures"):
        find_pairs(tmp_path)


def test_find_images(tmp_path: Path) -> None:
    touch(tmp_path / "images", ["c.png", "a.TIF"])
    assert find_images(tmp_path) == find_images(tmp_path / "images")
    assert [Path(item["image"]).name for item in find_images(tmp_path)] == ["a.TIF", "c.png"]
    touch(tmp_path, ["b.bmp"])
    assert find_images(tmp_path) == find_images(tmp_path / "b.bmp") == [{"image": str(tmp_path / "b.bmp")}]


def test_find_images_errors(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no pictures"):
        find_images(tmp_path)
    with pytest.raises(InputError, match="does not exist"):
        find_images(tmp_path / "lost.png")
    touch(tmp_path, ["a.nii.gz"])
    with pytest.raises(InputError, match="not a picture"):
        find_images(tmp_path / "a.nii.gz")
    touch(tmp_path, ["a.png", "a.jpg"])
    with pytest.raises(InputError, match=r"a\.jpg / a\.png"):
        find_images(tmp_path)


@pytest.mark.skipif("MEDSEG_DATA_DIR" not in os.environ, reason="MEDSEG_DATA_DIR is not set")
def test_real_kvasir_split() -> None:
    root = Path(os.environ["MEDSEG_DATA_DIR"], "polyp", "kvasir_seg")
    everything = find_pairs(root)
    train, test = find_pairs(root, "pranet_train.txt"), find_pairs(root, "pranet_test.txt")
    assert (len(train), len(test), len(everything)) == (900, 100, 1000)
    assert sorted(train + test, key=str) == everything
    check_pairs(everything[::20])


def test_test_sets_keep_their_names_and_splits(tmp_path: Path) -> None:
    for name in ("one", "two"):
        dataset(tmp_path / name, ["a.png", "b.png"], ["a.png", "b.png"])
    (tmp_path / "one" / "half.txt").write_text("b\n")
    (tmp_path / "two" / "test.txt").write_text("a\n")
    found = find_test_pairs({"A": [tmp_path / "one", "half.txt"], "B": tmp_path / "two"}, tmp_path)
    assert [(pair["set_name"], Path(pair["image"]).stem) for pair in found] == [("A", "b"), ("B", "a")]
    assert [pair["set_name"] for pair in find_test_pairs(None, tmp_path / "one")] == ["one", "one"]
    with pytest.raises(InputError, match="must map names to folders"):
        find_test_pairs({}, tmp_path)
    with pytest.raises(InputError, match=r"test_sets\['A'\]"):
        find_test_pairs({"A": ["one", "two", "three"]}, tmp_path)


@pytest.mark.parametrize("folders", [("images", "masks"), ("images", "images"), ("", "")])
def test_masks_whose_names_end_otherwise(tmp_path: Path, folders: tuple[str, str]) -> None:
    images, masks = (tmp_path / folder for folder in folders)
    touch(images, ["a.jpg", "a.1.jpg", "b10.jpg", "b1.jpg"])
    touch(masks, ["a_mask.png", "a.1_mask.png", "b10_mask.png", "b1_mask.png"])
    with pytest.raises(InputError, match=r"[Pp]ass --mask_suffix _mask\.$"):
        find_pairs(tmp_path)
    (tmp_path / "some.txt").write_text("a.jpg\nb1\n")
    expected = [{"image": str(images / f"{n}.jpg"), "label": str(masks / f"{n}_mask.png")} for n in ("a", "b1")]
    assert find_pairs(tmp_path, "some.txt", "_mask") == expected
    assert len(find_pairs(tmp_path, None, "_mask")) == 4
    pairs = find_test_pairs({"one": [tmp_path, "some.txt"]}, tmp_path, mask_suffix="_mask")
    assert pairs == [{**pair, "set_name": "one"} for pair in expected]
    with pytest.raises(InputError, match="no mask whose name ends with _label: correct mask_suffix"):
        find_pairs(tmp_path, None, "_label")
    (masks / "b1_mask.png").unlink()
    with pytest.raises(InputError, match=r"b1\.jpg \(no mask\)"):
        find_pairs(tmp_path, None, "_mask")


def test_pictures_in_subfolders_are_told(tmp_path: Path) -> None:
    touch(tmp_path / "first", ["a.png"])
    touch(tmp_path / "second", ["a.png"])
    with pytest.raises(InputError, match=r"pictures in subfolders only: give one of them, .*first, .*second\.$"):
        find_images(tmp_path)
