"""Masks as polygons: drawn again, they are the masks."""

import numpy as np
import pytest
from detector import polygons
from PIL import Image, ImageDraw
from skimage.draw import disk


def drawn(parts: list[list[float]], shape: tuple[int, int]) -> np.ndarray:
    image = Image.new("1", shape[::-1])
    for part in parts:
        ImageDraw.Draw(image).polygon(part, fill=1)
    return np.asarray(image)


def test_two_parts_of_which_one_has_a_hole() -> None:
    mask = np.zeros((60, 90), dtype=bool)
    mask[disk((30, 60), 20)] = True
    filled = mask.copy()
    mask[disk((30, 60), 5)] = False
    mask[:10, :20] = filled[:10, :20] = True  # at the border
    parts = polygons(mask)
    assert len(parts) == 2
    again = drawn(parts, mask.shape)
    assert (again & filled).sum() / (again | filled).sum() > 0.9
    assert all(min(part) >= -0.5 and max(part[::2]) <= 90 and max(part[1::2]) <= 60 for part in parts)


def test_center_of_a_small_part() -> None:
    mask = np.zeros((9, 12), dtype=bool)
    assert polygons(mask) == []
    mask[2:5, 3:10] = True
    (part,) = polygons(mask)
    x, y = np.reshape(part, (-1, 2)).T
    assert ((x.min() + x.max()) / 2, (y.min() + y.max()) / 2) == pytest.approx((6.5, 3.5), abs=0.3)
