"""A mask lies on the right pixels whatever the file: a bright L, as no flip or turn maps it onto itself."""

from pathlib import Path

import numpy as np
import pytest
import torch
from known_answer import BrightIsForeground
from PIL import Image
from running import run_here

BUNDLE = "ssformer_polyp_segmentation"
LEVELS = (40, 220)


def letter(height: int, width: int) -> np.ndarray:
    """A bold L with its foot on the right: bool `[height, width]`."""
    shape = np.zeros((height, width), dtype=bool)
    shape[height // 8 : height * 7 // 8, width // 8 : width // 3] = True
    shape[height * 5 // 8 : height * 7 // 8, width // 8 : width * 7 // 8] = True
    return shape


def gray(height: int, width: int) -> np.ndarray:
    return np.where(letter(height, width), *reversed(LEVELS)).astype(np.uint8)


def write_all(folder: Path) -> dict[str, tuple[int, int]]:
    """Write a file of each kind; name -> height and width as a viewer shows it."""
    portrait, landscape = (420, 260), (200, 333)
    Image.fromarray(gray(*portrait)).convert("RGB").save(folder / "portrait.png")
    Image.fromarray(gray(*landscape)).convert("RGB").save(folder / "landscape.jpg", quality=95)
    Image.fromarray(gray(*landscape)).save(folder / "gray.tif")
    Image.fromarray(gray(*portrait)).convert("RGBA").save(folder / "rgba.png")
    Image.fromarray(gray(*landscape)).convert("RGB").quantize(8).save(folder / "palette.png")
    Image.fromarray(gray(*landscape).astype(np.uint16) * 257).save(folder / "sixteen.png")
    exif = Image.Exif()
    exif[0x0112] = 6  # stored on its side: a viewer turns it by 90 degrees clockwise
    stored = np.rot90(gray(*portrait))
    Image.fromarray(stored).convert("RGB").save(folder / "exif.jpg", exif=exif, quality=95)
    tall, wide = ("portrait", "rgba", "exif"), ("landscape", "gray", "palette", "sixteen")
    return {**dict.fromkeys(tall, portrait), **dict.fromkeys(wide, landscape)}


@pytest.mark.parametrize("configs", [("inference",), ("inference", "inference_fullres")], ids=["resized", "fullres"])
def test_mask_lies_on_the_letter(configs: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    sizes = write_all(tmp_path / "in")
    torch.save(BrightIsForeground().state_dict(), tmp_path / "model.pt")
    run_here(
        "inferring",
        BUNDLE,
        *configs,
        dataset_dir=str(tmp_path / "in"),
        output_dir=str(tmp_path / "out"),
        ckpt_dir=str(tmp_path),
        network_def={"_target_": "known_answer.BrightIsForeground"},
    )
    assert sorted(path.stem for path in (tmp_path / "out").glob("*.png")) == sorted(sizes)
    for name, size in sizes.items():
        with Image.open(tmp_path / "out" / f"{name}.png") as file:
            mask = np.asarray(file)
        assert mask.dtype == np.uint8
        assert mask.shape == size, name
        assert set(np.unique(mask)) == {0, 255}, name
        truth = letter(*size)
        both, either = ((mask > 0) & truth).sum(), ((mask > 0) | truth).sum()
        assert both / either > 0.97, f"{name}: IoU {both / either:.3f}"
