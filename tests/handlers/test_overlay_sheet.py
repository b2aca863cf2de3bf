from pathlib import Path

import numpy as np
import pytest
import torch
from ignite.engine import Engine
from monai.data import MetaTensor
from PIL import Image

from medseg.handlers import OverlaySheet
from medseg.handlers.overlay_sheet import LABEL_COLOR, PREDICTION_COLOR

TILE, PAD = 40, 4


def item(file: Path, height: int, width: int, box: tuple[slice, slice], label: bool = False) -> dict:
    mask = torch.zeros(1, height, width)
    mask[0][box] = 1
    result = {"image": MetaTensor(torch.zeros(3, 8, 8), meta={"filename_or_obj": str(file)}), "pred": mask}
    if label:
        result["label"] = torch.ones(1, height, width).cumsum(dim=1).le(height // 2).float()
    return result


def sheet(path: Path, items: list[dict], **options: int) -> np.ndarray:
    engine = Engine(lambda _engine, batch: batch)
    OverlaySheet(path, tile=TILE, **options).attach(engine)
    engine.run([items[:1], items[1:]] if len(items) > 1 else [items])
    return np.array(Image.open(path))


def tile(picture: np.ndarray, row: int, col: int) -> np.ndarray:
    top, left = PAD + row * (TILE + PAD), PAD + col * (TILE + PAD)
    return picture[top : top + TILE, left : left + TILE]


def where(picture: np.ndarray, color: tuple[int, int, int]) -> np.ndarray:
    return (picture == np.array(color)).all(axis=-1)


def save(path: Path, height: int, width: int, **options: object) -> Path:
    Image.fromarray(np.full((height, width, 3), (90, 40, 30), dtype=np.uint8)).save(path, **options)
    return path


def test_outlines_lie_on_the_right_pixels(tmp_path: Path) -> None:
    # 20 high, 40 wide: scaled by 1, so the outline is where the mask is; 10 black rows above center it
    box = (slice(3, 9), slice(25, 37))
    file = save(tmp_path / "a.png", 20, 40)
    found = tile(sheet(tmp_path / "out" / "sheet.png", [item(file, 20, 40, box, label=True)]), 0, 0)
    rows, cols = np.nonzero(where(found, PREDICTION_COLOR))
    assert (rows.min(), rows.max(), cols.min(), cols.max()) == (10 + 2, 10 + 9, 24, 37)
    assert not where(found, PREDICTION_COLOR)[10 + 5, 30]  # the inside stays visible
    rows, cols = np.nonzero(where(found, LABEL_COLOR))
    assert set(rows) == {10 + 9, 10 + 10}
    assert (cols.min(), cols.max()) == (0, 39)
    assert (found[:10] == 0).all()
    assert (found[30:] == 0).all()
    assert (found[28, 3] == (90, 40, 30)).all()


def test_pictures_are_scaled_not_stretched(tmp_path: Path) -> None:
    file = save(tmp_path / "portrait.png", 200, 60)
    found = tile(sheet(tmp_path / "sheet.png", [item(file, 200, 60, (slice(0, 0), slice(0, 0)))]), 0, 0)
    rows, cols = np.nonzero(found.any(axis=-1))
    assert (rows.max() - rows.min() + 1, cols.max() - cols.min() + 1) == (40, 12)
    assert not where(found, PREDICTION_COLOR).any()  # an empty mask has no outline


def test_exif_orientation_is_honoured(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # stored 40 high, 20 wide; seen 20 high, 40 wide
    file = save(tmp_path / "turned.jpg", 40, 20, exif=exif)
    found = tile(sheet(tmp_path / "sheet.png", [item(file, 20, 40, (slice(3, 9), slice(25, 37)))]), 0, 0)
    rows, cols = np.nonzero(where(found, PREDICTION_COLOR))
    assert (rows.min(), cols.max()) == (12, 37)


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "I;16"])
def test_kinds_of_files(tmp_path: Path, mode: str) -> None:
    ramp = np.tile(np.linspace(0, 255, 40).astype(np.uint8), (20, 1))
    picture = Image.fromarray(ramp.astype(np.uint16) * 257) if mode == "I;16" else Image.fromarray(ramp).convert(mode)
    assert picture.mode == mode
    picture.save(tmp_path / "a.png")
    empty = (slice(0, 0), slice(0, 0))
    found = tile(sheet(tmp_path / "sheet.png", [item(tmp_path / "a.png", 20, 40, empty)]), 0, 0)
    shades = found[20, :, 0].astype(int)
    assert shades[0] < 10
    assert shades[-1] > 245
    assert (np.diff(shades) >= 0).all()


def test_only_the_first_images_of_the_last_run(tmp_path: Path) -> None:
    files = [save(tmp_path / f"{i}.png", 20 + i, 40) for i in range(5)]
    items = [item(f, 20 + i, 40, (slice(3, 9), slice(25, 37))) for i, f in enumerate(files)]
    engine = Engine(lambda _engine, batch: batch)
    OverlaySheet(tmp_path / "sheet.png", max_images=3, tile=TILE).attach(engine)
    for _ in range(2):
        engine.run([items[:2], items[2:4], items[4:]])
    found = np.array(Image.open(tmp_path / "sheet.png"))
    assert found.shape == (2 * TILE + 3 * PAD, 2 * TILE + 3 * PAD, 3)
    assert tile(found, 1, 0).any()
    assert not tile(found, 1, 1).any()


def test_mask_of_another_size_is_refused(tmp_path: Path) -> None:
    file = save(tmp_path / "a.png", 20, 40)
    with pytest.raises(ValueError, match=r"a\.png has shape \(1, 40, 20\), its picture \(1, 20, 40\)"):
        sheet(tmp_path / "sheet.png", [item(file, 40, 20, (slice(3, 9), slice(5, 9)))])
    assert not (tmp_path / "sheet.png").exists()


def test_image_without_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no file name in 'image'"):
        sheet(tmp_path / "sheet.png", [{"image": torch.zeros(3, 2, 2), "pred": torch.zeros(1, 2, 2)}])
    with pytest.raises(ValueError, match="max_images >= 1"):
        OverlaySheet(tmp_path / "sheet.png", max_images=0)
