import pytest
import torch
import torch.nn.functional as F

from medseg.networks.decoders.ppd import inner_regions


@pytest.mark.parametrize("size", [(1, 4), (6, 12), (44, 13), (17, 60)])
@pytest.mark.parametrize("grid", [1, 4])
def test_regions_are_those_of_adaptive_pooling(size: tuple[int, int], grid: int) -> None:
    x = torch.randn(2, 3, *size, dtype=torch.float64)
    rows, columns = (inner_regions(side, grid, x) for side in size)
    wanted = F.adaptive_avg_pool2d(x, (grid + 2, grid + 2))[:, :, 1:-1, 1:-1]
    torch.testing.assert_close(rows @ x @ columns.T, wanted)
