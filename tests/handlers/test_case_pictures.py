import itertools
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch
from ignite.engine import Engine
from monai.data import MetaTensor
from nibabel.orientations import axcodes2ornt, io_orientation, ornt_transform
from PIL import Image

from medseg.handlers import CasePictures
from medseg.handlers.case_pictures import LABEL_COLORS, TRUTH_COLOR, picture_file

PAD = 4
# every order of the axes and every direction along them
CODES = ["".join(axes) for order in itertools.permutations(("RL", "AP", "SI")) for axes in itertools.product(*order)]


def phantom() -> tuple[nibabel.Nifti1Image, nibabel.Nifti1Image]:
    """A head-to-foot asymmetric volume in LPS order, so [x to the left, y to the back, slice upwards], and labels."""
    volume = np.zeros((30, 20, 8), np.int16)
    volume[:, :, 6] = 200  # a brighter slice near the head
    volume[2:5, 1:3] = 1000  # at the patient's right front
    labels = np.zeros(volume.shape, np.uint8)
    labels[3:9, 2:6, 2:7] = 1  # right front
    labels[20:28, 12:18, 2:5] = 2  # left back, only in the lower slices
    affine = np.diag([-2.0, -3.0, 5.0, 1.0])
    return nibabel.Nifti1Image(volume, affine), nibabel.Nifti1Image(labels, affine)


def volume_item(file: Path, labels: nibabel.Nifti1Image, **others: torch.Tensor) -> dict:
    mask = torch.as_tensor(np.array(labels.dataobj))[None].float()
    return {"image": MetaTensor(torch.zeros(1, 2, 2, 2), meta={"filename_or_obj": str(file)}), "pred": mask, **others}


def draw(folder: Path, item: dict, **options: object) -> np.ndarray:
    engine = Engine(lambda _engine, batch: batch)
    CasePictures(folder / "pictures", **options).attach(engine)
    engine.run([[item]])
    files = [path for path in (folder / "pictures").rglob("*") if path.is_file()]
    assert len(files) == 1
    return np.array(Image.open(files[0]))


def where(picture: np.ndarray, color: tuple[int, int, int]) -> np.ndarray:
    return (picture == np.array(color)).all(axis=-1)


def center(picture: np.ndarray, color: tuple[int, int, int]) -> tuple[float, float]:
    rows, columns = np.nonzero(where(picture, color))
    return rows.mean() / picture.shape[0], columns.mean() / picture.shape[1]


def test_a_volume_is_seen_from_the_feet_from_head_to_foot(tmp_path: Path) -> None:
    volume, labels = phantom()
    nibabel.save(volume, tmp_path / "a.nii.gz")
    item = volume_item(tmp_path / "a.nii.gz", labels)
    picture = draw(tmp_path, item, slices=3, columns=2, max_side=252, intensity_range=(0, 1000))
    # 60 mm x 60 mm in a tile of (252 - 3 * 4) // 2 = 120 pixels: two pixels a millimeter
    assert picture.shape == (2 * 120 + 3 * PAD, 2 * 120 + 3 * PAD, 3)
    tiles = [picture[top : top + 120, left : left + 120] for top in (PAD, 124 + PAD) for left in (PAD, 124 + PAD)]
    assert [int(tile[60, 60, 0]) for tile in tiles] == [51, 0, 0, 0]  # slices 6, 4 and 2, and an empty place
    first, second = LABEL_COLORS[:2]
    assert [where(tile, first).any() for tile in tiles] == [True, True, True, False]
    assert [where(tile, second).any() for tile in tiles] == [False, True, True, False]
    # the outline of label 1 has the box's own edges: x 3..9 of 2 mm, y 2..6 of 3 mm, twice as many pixels
    rows, columns = np.nonzero(where(tiles[1], first))
    assert (columns.min(), columns.max() + 1, rows.min(), rows.max() + 1) == (12, 36, 12, 36)
    rows, columns = np.nonzero(where(tiles[1], second))
    assert (columns.min(), columns.max() + 1, rows.min(), rows.max() + 1) == (80, 112, 72, 108)
    assert not where(tiles[1], first)[24, 24]  # the inside stays visible
    # the letters lie half way up at both sides
    white = np.nonzero(tiles[1][50:70].min(axis=-1) > 150)[1]
    assert {column // 60 for column in white} == {0, 1}
    assert white.max() > 110 > 10 > white.min()


@pytest.mark.parametrize("codes", CODES)
def test_the_same_picture_whatever_the_order_of_the_axes(codes: str, tmp_path: Path) -> None:
    pictures = []
    for name, order in (("as_it_is", "LPS"), ("turned", codes)):
        turned = []
        for image in phantom():
            transform = ornt_transform(io_orientation(image.affine), axcodes2ornt(tuple(order)))
            turned.append(image.as_reoriented(transform))
        assert nibabel.aff2axcodes(turned[0].affine) == tuple(order)
        nibabel.save(turned[0], tmp_path / f"{name}.nii")
        item = volume_item(tmp_path / f"{name}.nii", turned[1])
        pictures.append(draw(tmp_path / name, item, slices=3, max_side=200))
    assert len(CODES) == 48
    np.testing.assert_array_equal(pictures[0], pictures[1])


def test_an_empty_mask_shows_the_whole_volume(tmp_path: Path) -> None:
    volume, labels = phantom()
    nibabel.save(volume, tmp_path / "a.nii")
    empty = nibabel.Nifti1Image(np.zeros(labels.shape, np.uint8), labels.affine)
    picture = draw(tmp_path, volume_item(tmp_path / "a.nii", empty), slices=100, columns=4, max_side=276)
    assert picture.shape == (2 * 64 + 3 * PAD, 4 * 64 + 5 * PAD, 3)  # eight slices of 64 x 64
    assert not any(where(picture, color).any() for color in LABEL_COLORS)


def test_a_true_mask_is_white_and_one_hot_masks_are_taken(tmp_path: Path) -> None:
    volume, labels = phantom()
    nibabel.save(volume, tmp_path / "a.nii")
    item = volume_item(tmp_path / "a.nii", labels)
    one_hot = torch.nn.functional.one_hot(item["pred"][0].long(), 3).movedim(-1, 0).float()
    shifted = torch.roll(one_hot, 5, dims=1)
    options = {"slices": 1, "max_side": 240, "intensity_range": (0, 4000)}
    plain = draw(tmp_path / "labels", item, **options)
    assert not where(plain, TRUTH_COLOR)[:, 20:-20].any()
    picture = draw(
        tmp_path / "one_hot",
        item | {"pred": one_hot, "label": shifted},
        slices=1,
        max_side=240,
        intensity_range=(0, 4000),
    )
    for color in LABEL_COLORS[:2]:
        np.testing.assert_array_equal(where(picture, color), where(plain, color))
    truth = where(picture, TRUTH_COLOR)
    assert truth[:, 20:-20].any()
    assert np.nonzero(truth[:, 20:-20])[1].mean() + 20 > center(plain, LABEL_COLORS[0])[1] * plain.shape[1]


def test_a_picture_is_not_enlarged_and_bounded(tmp_path: Path) -> None:
    for name, size in (("small", (40, 20)), ("large", (400, 200))):
        Image.new("RGB", size, (90, 40, 30)).save(tmp_path / f"{name}.png")
        width, height = size
        mask = torch.zeros(1, height, width)
        mask[0, height // 4 : height // 2, width // 8 : width // 4] = 1
        item = {"image": MetaTensor(torch.zeros(3, 8, 8), meta={"filename_or_obj": str(tmp_path / f"{name}.png")})}
        picture = draw(tmp_path / name, item | {"pred": mask}, max_side=100)
        assert picture.shape[:2] == ((20, 40) if name == "small" else (50, 100))
        rows, columns = center(picture, LABEL_COLORS[0])
        assert (rows, columns) == (pytest.approx(0.375, abs=0.03), pytest.approx(0.1875, abs=0.03))


def test_names(tmp_path: Path) -> None:
    assert picture_file(tmp_path, "/a/b.v2.nii.gz") == tmp_path / "b.v2.png"
    assert picture_file(tmp_path, "/a/b.png") == tmp_path / "b.png"
    assert picture_file(tmp_path, "/a/b.png", "CVC 300") == tmp_path / "CVC 300" / "b.png"
    assert picture_file(tmp_path, "/a/b.png", "../x") == tmp_path / "_x" / "b.png"


def test_two_test_sets_with_the_same_names(tmp_path: Path) -> None:
    items = []
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        Image.new("RGB", (40, 20)).save(tmp_path / name / "1.png")
        image = MetaTensor(torch.zeros(3, 8, 8), meta={"filename_or_obj": str(tmp_path / name / "1.png")})
        items.append({"image": image, "pred": torch.zeros(1, 20, 40), "set_name": name})
    engine = Engine(lambda _engine, batch: batch)
    CasePictures(tmp_path / "pictures").attach(engine)
    engine.run([items])
    written = {str(path.relative_to(tmp_path / "pictures")) for path in (tmp_path / "pictures").rglob("*.png")}
    assert written == {"first/1.png", "second/1.png"}


def test_what_is_refused(tmp_path: Path) -> None:
    Image.new("RGB", (40, 20)).save(tmp_path / "a.png")
    image = MetaTensor(torch.zeros(3, 8, 8), meta={"filename_or_obj": str(tmp_path / "a.png")})
    with pytest.raises(ValueError, match=r"a\.png has the shape \(40, 20\), its image \(20, 40\)"):
        draw(tmp_path, {"image": image, "pred": torch.zeros(1, 40, 20)})
    assert not (tmp_path / "pictures").exists()
    with pytest.raises(ValueError, match="knows no file"):
        draw(tmp_path, {"image": torch.zeros(3, 2, 2), "pred": torch.zeros(1, 2, 2)})
    with pytest.raises(ValueError, match="columns >= 1"):
        CasePictures(tmp_path, columns=0)
    with pytest.raises(ValueError, match="lowest, highest"):
        CasePictures(tmp_path, intensity_range=(1, 1))
