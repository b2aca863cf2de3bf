import pytest
import torch
from monai.data import MetaTensor

from medseg.metrics import HausdorffMillimeters, SurfaceDiceMillimeters


def cases() -> tuple[list[torch.Tensor], list[MetaTensor]]:
    """Two boxes, each predicted three voxels off along one axis, in volumes of different spacing."""
    predictions, labels = [], []
    for spacing, turned in (((2.0, 1.0, 5.0), False), ((4.0, 0.5, 1.0), True)):
        label = torch.zeros(1, 16, 12, 9)
        label[0, 3:9, 4:8, 2:6] = 1
        affine = torch.diag(torch.tensor([*spacing, 1.0]))
        if turned:
            affine[0, 0] *= -1  # the first axis points to the left
        labels.append(MetaTensor(label, affine=affine))
        predictions.append(label.roll(3, dims=1))
    return predictions, labels


def test_distances_are_those_of_each_case() -> None:
    predictions, labels = cases()
    values = HausdorffMillimeters(include_background=True)(predictions, labels)
    assert values.tolist() == [[pytest.approx(6.0)], [pytest.approx(12.0)]]


def test_tolerance_is_in_millimeters() -> None:
    predictions, labels = cases()
    values = [
        SurfaceDiceMillimeters([tolerance], include_background=True)(predictions, labels)[:, 0].tolist()
        for tolerance in (5.9, 6.1, 12.1)
    ]
    assert values[0][0] < 1
    assert values[1] == [1, values[0][1]]
    assert values[2] == [1, 1]


def test_without_an_affine_voxels_count() -> None:
    predictions, labels = cases()
    values = HausdorffMillimeters(include_background=True)(predictions, [label.as_tensor() for label in labels])
    assert values.tolist() == [[3], [3]]
