import itertools
import os
import subprocess
import sys
import time
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch
from ignite.engine import Engine
from monai.data import MetaTensor
from nibabel.orientations import axcodes2ornt, io_orientation, ornt_transform
from PIL import Image

from medseg.data.fault_tolerant_dataset import SOURCE_KEY
from medseg.handlers import CasePictures
from medseg.results.pictures import LABEL_COLORS, TRUTH_COLOR, label_color, picture_file

PAD = 4
REPO = Path(__file__).parents[2]
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
    right, left = (tiles[1][50:70, sides].min(axis=-1) > 150 for sides in (slice(0, 20), slice(100, 120)))
    assert right.sum() > 1.2 * left.sum()  # an R has more strokes than an L
    assert left.sum(axis=1).argmax() > right.sum(axis=1).argmax()  # and an L has its bar at the foot


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
        assert center(picture, LABEL_COLORS[0]) == pytest.approx((0.375, 0.1875), abs=0.03)


def picture_item(file: Path, height: int, width: int, box: tuple[slice, slice]) -> dict:
    mask = torch.zeros(1, height, width)
    mask[0][box] = 1
    return {"image": MetaTensor(torch.zeros(3, 8, 8), meta={"filename_or_obj": str(file)}), "pred": mask}


def test_exif_orientation_is_honored(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # stored 40 high, 20 wide; seen 20 high, 40 wide
    Image.new("RGB", (20, 40), (90, 40, 30)).save(tmp_path / "turned.jpg", exif=exif)
    picture = draw(tmp_path, picture_item(tmp_path / "turned.jpg", 20, 40, (slice(3, 9), slice(25, 37))))
    rows, columns = np.nonzero(where(picture, LABEL_COLORS[0]))
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (3, 8, 25, 36)
    assert not where(picture, LABEL_COLORS[0])[5, 30]  # the inside stays visible


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "I;16"])
def test_kinds_of_files(tmp_path: Path, mode: str) -> None:
    ramp = np.tile(np.linspace(0, 255, 40).astype(np.uint8), (20, 1))
    picture = Image.fromarray(ramp.astype(np.uint16) * 257) if mode == "I;16" else Image.fromarray(ramp).convert(mode)
    assert picture.mode == mode
    picture.save(tmp_path / "a.png")
    drawn = draw(tmp_path, picture_item(tmp_path / "a.png", 20, 40, (slice(0, 0), slice(0, 0))))
    shades = drawn[10, :, 0].astype(int)
    assert shades[0] < 10
    assert shades[-1] > 245
    assert (np.diff(shades) >= 0).all()
    assert not where(drawn, LABEL_COLORS[0]).any()  # an empty mask has no outline


def test_a_source_that_is_decoded_already_is_not_read_again(tmp_path: Path) -> None:
    Image.new("RGB", (40, 20), (90, 40, 30)).save(tmp_path / "a.png")
    item = picture_item(tmp_path / "a.png", 20, 40, (slice(3, 9), slice(25, 37)))
    read = draw(tmp_path / "read", item)
    (tmp_path / "a.png").unlink()
    source = MetaTensor(torch.tensor([90.0, 40, 30]).expand(20, 40, 3))
    np.testing.assert_array_equal(draw(tmp_path / "given", item | {SOURCE_KEY: source}), read)
    volume, labels = phantom()
    nibabel.save(volume, tmp_path / "b.nii")
    item = volume_item(tmp_path / "b.nii", labels)
    read = draw(tmp_path / "read_volume", item)
    (tmp_path / "b.nii").unlink()
    source = MetaTensor(torch.as_tensor(np.array(volume.dataobj, np.float32)), affine=torch.as_tensor(volume.affine))
    np.testing.assert_array_equal(draw(tmp_path / "given_volume", item | {SOURCE_KEY: source}), read)


def test_colors_are_those_of_the_docs() -> None:
    """Okabe and Ito's palette, in the order that docs/report.md tells."""
    text = (Path(__file__).parents[2] / "docs" / "report.md").read_text(encoding="utf-8")
    assert "label 1 yellow, 2 sky blue, 3 vermilion, 4 green, 5 purple, 6 orange, 7 blue" in " ".join(text.split())
    assert [f"{red:02X}{green:02X}{blue:02X}" for red, green, blue in map(label_color, range(1, 10))] == [
        *("F0E442", "56B4E9", "D55E00", "009E73", "CC79A7", "E69F00", "0072B2"),
        *("F0E442", "56B4E9"),
    ]
    assert TRUTH_COLOR == (255, 255, 255)


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


TILE = 256


def sheet_of(folder: Path, runs: list[list[dict]], cases: list[dict], **options: int) -> np.ndarray:
    for items in runs:
        engine = Engine(lambda _engine, batch: batch)
        CasePictures(folder / "pictures", cases=cases, **options).attach(engine)
        engine.run([[item] for item in items])
    return np.array(Image.open(folder / "pictures" / "overlays.png"))


def shown_in(sheet: np.ndarray) -> list[list[tuple[int, ...]]]:
    """The color in the middle of each tile."""
    step = TILE + PAD
    return [
        [tuple(sheet[y, x]) for x in range(step // 2, sheet.shape[1], step)] for y in range(step // 2, len(sheet), step)
    ]


def test_the_sheet_joins_the_first_pictures_of_all_runs(tmp_path: Path) -> None:
    colors = [(10 * number, 40, 30) for number in range(6)]
    files = [tmp_path / f"{number}.png" for number in range(6)]
    for file, color in zip(files, colors, strict=True):
        Image.new("RGB", (40, 20), color).save(file)
    items = [picture_item(file, 20, 40, (slice(1, 4), slice(1, 4))) for file in files]
    cases = [{"image": str(file)} for file in files]
    black = (0, 0, 0)
    # case 1 has failed; an earlier run has done those at the end
    sheet = sheet_of(tmp_path, [[items[4], items[3]], [items[0], items[2]]], cases, sheet=3)
    assert sheet.shape == (2 * TILE + 3 * PAD, 2 * TILE + 3 * PAD, 3)
    assert shown_in(sheet) == [[colors[0], colors[2]], [colors[3], black]]
    # 40 x 20 in a square: a quarter above and below is black, and the outline lies where the mask is
    tile = sheet[PAD : PAD + TILE, PAD : PAD + TILE]
    assert not tile[: TILE // 4 - 1].any()
    assert not tile[-TILE // 4 + 1 :].any()
    rows, columns = np.nonzero((np.abs(tile.astype(int) - LABEL_COLORS[0]) < 60).all(axis=-1))
    assert (rows.mean() - TILE / 4, columns.mean()) == (
        pytest.approx(2.5 * 6.4, abs=2),
        pytest.approx(2.5 * 6.4, abs=2),
    )
    assert shown_in(sheet_of(tmp_path, [items], cases[:1])) == [[colors[0]]]


def test_without_pictures_or_cases_there_is_no_sheet(tmp_path: Path) -> None:
    Image.new("RGB", (40, 20)).save(tmp_path / "a.png")
    item = picture_item(tmp_path / "a.png", 20, 40, (slice(1, 4), slice(1, 4)))
    for name, options in {"none": {}, "zero": {"cases": [item], "sheet": 0}}.items():
        draw(tmp_path / name, item, **options)  # which finds one file


@pytest.mark.slow
def test_two_processes_make_one_sheet(tmp_path: Path) -> None:
    """Each writes its own pictures; the first waits for the other and joins them in the order of the cases."""
    for number in range(3):
        Image.new("RGB", (40, 20), (80 * number, 40, 30)).save(tmp_path / f"{number}.png")
    script = f"import {Path(__file__).stem} as test; test.main()"
    python_path = os.pathsep.join([str(REPO), str(Path(__file__).parent)])
    workers = []
    for rank in range(2):
        env = {**os.environ, "PYTHONPATH": python_path, "OMP_NUM_THREADS": "1", "TEST_FOLDER": str(tmp_path)}
        env |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2"}
        workers.append(subprocess.Popen([sys.executable, "-c", script], env=env, stderr=subprocess.PIPE, text=True))
    for worker in workers:
        _, errors = worker.communicate(timeout=240)
        assert worker.returncode == 0, errors
    sheet = np.array(Image.open(tmp_path / "pictures" / "overlays.png"))
    assert shown_in(sheet) == [[(0, 40, 30), (80, 40, 30)], [(160, 40, 30), (0, 0, 0)]]


def main() -> None:
    """What each of the two processes runs; the second is the slower one."""
    rank, folder = int(os.environ["RANK"]), Path(os.environ["TEST_FOLDER"])
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    files = [folder / f"{number}.png" for number in range(3)]
    items = [picture_item(file, 20, 40, (slice(0, 0), slice(0, 0))) for file in files[rank::2]]

    def slowly(_engine: Engine, batch: list[dict]) -> list[dict]:
        time.sleep(2 * rank)
        return batch

    engine = Engine(slowly)
    CasePictures(folder / "pictures", cases=[{"image": str(file)} for file in files]).attach(engine)
    engine.run([items])
    torch.distributed.destroy_process_group()


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
    with pytest.raises(ValueError, match="sheet >= 0"):
        CasePictures(tmp_path, sheet=-1)
    with pytest.raises(ValueError, match="lowest, highest"):
        CasePictures(tmp_path, intensity_range=(1, 1))
