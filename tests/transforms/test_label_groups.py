import numpy as np
import pytest
import torch
from monai.data import MetaTensor

from medseg.errors import InputError
from medseg.transforms import LabelGroupsd


def test_groups_become_classes_and_the_rest_background() -> None:
    values = np.array([[0, 10, 11, 5], [12, 13, 14, 255], [1, 2, 3, 10]])
    expected = np.array([[0, 1, 1, 0], [2, 2, 2, 0], [0, 0, 0, 1]])
    affine = torch.diag(torch.tensor([3.0, 2.0, 5.0, 1.0]))
    for dtype in (torch.uint8, torch.int16, torch.float32):
        other = torch.ones(1)
        label = MetaTensor(torch.as_tensor(values).to(dtype)[None], affine=affine)
        out = LabelGroupsd("label", [[10, 11], [12, 13, 14]])({"label": label, "other": other})
        assert out["other"] is other
        assert out["label"].dtype == dtype
        assert torch.equal(out["label"].affine, label.affine)
        np.testing.assert_array_equal(out["label"][0].numpy(), expected)
        np.testing.assert_array_equal(label[0].numpy(), values)


def test_bad_groups() -> None:
    for groups in ([], [[1], []], [[1, 2], [2]], [[1, 1]]):
        with pytest.raises(ValueError, match="different values"):
            LabelGroupsd("label", groups)


def test_as_many_groups_as_the_network_has_classes() -> None:
    groups = [[10, 11], [12, 13, 14]]
    assert LabelGroupsd("label", groups, num_classes=3).groups == groups
    with pytest.raises(InputError, match="set out_channels to 3"):
        LabelGroupsd("label", groups, num_classes=2)
