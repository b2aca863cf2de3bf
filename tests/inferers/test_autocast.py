"""Forward passes in bfloat16 on a CPU."""

import pytest
import torch
from monai.data import MetaTensor
from monai.inferers import SlidingWindowInferer
from torch import nn

from medseg.inferers import AutocastInferer


class Twice(nn.Module):
    """Records the type that its convolution gives; a list of outputs as with deep supervision."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 1, 3)
        self.seen: list[tuple[type, torch.dtype]] = []

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        y = self.conv(x)
        self.seen.append((type(x), y.dtype))
        return [y, y]


@pytest.mark.parametrize(("enabled", "inner"), [(True, torch.bfloat16), (False, torch.float32)])
def test_inside_bfloat16_outside_float32_with_gradients(enabled: bool, inner: torch.dtype) -> None:
    network, image = Twice(), MetaTensor(torch.randn(1, 3, 8, 8))
    outputs = AutocastInferer(enabled)(image, network)
    assert network.seen == [(torch.Tensor, inner)]
    assert [output.dtype for output in outputs] == [torch.float32] * 2
    torch.testing.assert_close(outputs[0], network.conv(image.as_tensor()), atol=0.02, rtol=0.02)
    sum(output.sum() for output in outputs).backward()
    assert network.conv.weight.grad is not None
    assert AutocastInferer(enabled)(image, network.conv).dtype == torch.float32


def test_windows_are_in_bfloat16_and_keep_the_metadata() -> None:
    network = nn.Conv2d(3, 2, 3, padding=1)
    seen = []
    network.register_forward_hook(lambda _module, _inputs, output: seen.append(output.dtype))
    image = MetaTensor(torch.randn(1, 3, 12, 20), affine=torch.diag(torch.tensor([2.0, 3.0, 1.0, 1.0])))
    windows = SlidingWindowInferer(roi_size=(8, 8), overlap=0.25)
    result = AutocastInferer(inferer=windows)(image, network)
    assert set(seen) == {torch.bfloat16}
    assert result.dtype == torch.float32
    assert torch.equal(result.affine, image.affine)
    torch.testing.assert_close(result.as_tensor(), windows(image, network).as_tensor(), atol=0.03, rtol=0.03)
