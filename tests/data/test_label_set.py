from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medseg.data import LabelSet, MaskReader
from medseg.errors import InputError
from medseg.losses import IGNORED
from medseg.results import PictureWriter

LABELS = np.zeros((12, 16), np.uint8)
LABELS[2:8, 2:8] = 1
LABELS[2:8, 9:14] = 2
PALETTE = [[0, 0, 0], [255, 255, 0], [255, 255, 255]]


def save(path: Path, array: np.ndarray, palette: list[list[int]] | None = None) -> Path:
    image = Image.fromarray(array)
    if palette:
        image.putpalette([part for color in palette for part in color])
    image.save(path)
    return path


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_class_numbers_are_kept(tmp_path: Path, dtype: type, suffix: str) -> None:
    path = save(tmp_path / f"a{suffix}", LABELS.astype(dtype))
    np.testing.assert_array_equal(MaskReader(3).decode(path)[..., 0], LABELS)


def test_palette_indices_are_class_numbers(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", LABELS, PALETTE)
    np.testing.assert_array_equal(MaskReader(3).decode(path)[..., 0], LABELS)


@pytest.mark.parametrize("values", [[0, 128, 255], PALETTE], ids=["gray", "colors"])
def test_values_go_there_and_back(tmp_path: Path, values: list) -> None:
    path = save(tmp_path / "a.png", np.array(values, np.uint8)[LABELS])
    label_set = LabelSet(["background", "polyp", "tool"], values)
    classes = label_set.reader.decode(path)
    np.testing.assert_array_equal(classes[..., 0], LABELS)
    writer = PictureWriter(label_set.file_values, output_dtype=np.uint8, scale=None)
    writer.set_data_array(classes.transpose(2, 0, 1))
    writer.write(tmp_path / "b.png")
    with Image.open(path) as source, Image.open(tmp_path / "b.png") as written:
        np.testing.assert_array_equal(np.array(written.convert("RGB")), np.array(source.convert("RGB")))
    np.testing.assert_array_equal(label_set.reader.decode(tmp_path / "b.png"), classes)


@pytest.mark.parametrize(("num_classes", "values"), [(2, [0, 1]), (2, [0, 255]), (3, [0, 1, 2])])
def test_ignored_pixels(tmp_path: Path, num_classes: int, values: list[int]) -> None:
    truth = np.minimum(LABELS, num_classes - 1)
    array = np.array(values, np.uint8)[truth]
    array[:2] = 7
    truth[:2] = IGNORED
    reader = MaskReader(num_classes, ignore=7)
    np.testing.assert_array_equal(reader.decode(save(tmp_path / "a.png", array))[..., 0], truth)


def test_values_of_no_class_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a.png holds 200, not only .* 0, 1, 2: list the value .* label_values"):
        MaskReader(3).decode(save(tmp_path / "a.png", np.where(LABELS == 2, 200, LABELS).astype(np.uint8)))
    with pytest.raises(InputError, match=r"b.png is in color: list the colors"):
        MaskReader(3).decode(save(tmp_path / "b.png", np.array(PALETTE, np.uint8)[LABELS]))


@pytest.mark.parametrize(
    ("classes", "options", "reason"),
    [
        (["a"], {}, "two or more different names"),
        (["a", "a"], {}, "two or more different names"),
        ("background", {}, "two or more different names"),
        (["a", "b", "c"], {"label_values": [0, 1]}, "3 different values"),
        (["a", "b", "c"], {"label_values": [0, 1, 1]}, "3 different values"),
        (["a", "b", "c"], {"label_values": [0, 1, 300]}, "0 to 255"),
        (["a", "b", "c"], {"label_values": [0, [1, 2], 1]}, "0 to 255"),
        (["a", "b", "c"], {"label_values": 5}, "3 different values"),
        (["a", "b", "c"], {"ignore": 2}, "also the value of a class"),
    ],
)
def test_what_is_no_set_of_labels_is_refused(classes: list[str], options: dict, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        LabelSet(classes, **options)
