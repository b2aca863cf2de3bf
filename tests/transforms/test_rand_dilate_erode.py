from collections import Counter

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from scipy import ndimage

from medseg.transforms.rand_dilate_erode import RandDilateEroded, dilate, elliptic_kernel, erode

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif("not torch.cuda.is_available()"))]


def test_published_kernels() -> None:
    assert np.array_equal(elliptic_kernel(2), [[0, 1], [1, 1]])
    assert np.array_equal(elliptic_kernel(3), [[0, 1, 0], [1, 1, 1], [0, 1, 0]])
    assert np.array_equal(elliptic_kernel(4), [[0, 0, 1, 0], [1, 1, 1, 1], [1, 1, 1, 1], [1, 1, 1, 1]])
    with pytest.raises(ValueError, match="at least 1"):
        elliptic_kernel(0)


@pytest.mark.parametrize("size", range(1, 9))
@pytest.mark.parametrize(("ours", "name"), [(dilate, "dilate"), (erode, "erode")])
def test_equals_opencv(ours, name: str, size: int) -> None:
    cv2 = pytest.importorskip("cv2", reason="OpenCV is not installed")
    label = np.random.default_rng(size).random((13, 17)).astype(np.float32)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    np.testing.assert_array_equal(elliptic_kernel(size), kernel)
    result = ours(torch.from_numpy(label)[None], elliptic_kernel(size))
    np.testing.assert_array_equal(result[0], getattr(cv2, name)(label, kernel))


@pytest.mark.parametrize("dtype", [torch.float32, torch.uint8, torch.bool, torch.int64])
@pytest.mark.parametrize("size", [2, 3, 4, 5])
def test_equals_scipy(size: int, dtype: torch.dtype) -> None:
    values = np.random.default_rng(size).random((2, 11, 19)) * 200
    label = torch.from_numpy(values > 150 if dtype == torch.bool else values).to(dtype)
    kernel = np.asarray(elliptic_kernel(size))
    # SciPy mirrors the kernel of a dilation, and anchors even kernels on the same place before mirroring
    origin = -1 if size % 2 == 0 else 0
    # its borders repeat the outermost values, so only places whose kernel lies inside are comparable
    inside = np.s_[:, size:-size, size:-size]
    array = label.numpy().astype(np.float64)
    for ours, expected in [
        (dilate, [ndimage.grey_dilation(c, footprint=kernel[::-1, ::-1], origin=origin) for c in array]),
        (erode, [ndimage.grey_erosion(c, footprint=kernel) for c in array]),
    ]:
        result = ours(label, elliptic_kernel(size))
        assert result.dtype == dtype
        np.testing.assert_array_equal(result.numpy()[inside], np.stack(expected)[inside])


def test_outside_does_not_count() -> None:
    full, empty = torch.ones(1, 5, 7), torch.zeros(1, 5, 7)
    for size in (2, 3, 4):
        assert torch.equal(erode(full, elliptic_kernel(size)), full)
        assert torch.equal(dilate(empty, elliptic_kernel(size)), empty)


@pytest.mark.parametrize("device", DEVICES)
def test_random_transform(device: str) -> None:
    label = torch.zeros(1, 20, 30)
    label[:, 6:14, 8:20] = 1
    data = {"label": MetaTensor(label, meta={"filename_or_obj": "a.png"}).to(device), "image": label}
    transform = RandDilateEroded("label").set_random_state(1)
    counts: Counter[str] = Counter()
    areas = set()
    for _ in range(300):
        result = transform(data)
        change = float(result["label"].sum() - label.sum())
        counts["dilated" if change > 0 else "eroded" if change < 0 else "same"] += 1
        areas.add(change)
        assert result["image"] is label
    assert all(70 <= count <= 130 for count in counts.values()), counts
    assert len(areas) == 7  # two operations with three kernels each, and no change
    assert result["label"].meta["filename_or_obj"] == "a.png"
    assert result["label"].device == data["label"].device
    replay = [transform.set_random_state(9)(data)["label"] for _ in range(2)]
    assert torch.equal(*replay)


def test_never_and_bad_range() -> None:
    label = torch.ones(1, 4, 4)
    assert RandDilateEroded("label", prob=0.0)({"label": label})["label"] is label
    with pytest.raises(ValueError, match="kernel_range"):
        RandDilateEroded("label", kernel_range=(3, 3))
