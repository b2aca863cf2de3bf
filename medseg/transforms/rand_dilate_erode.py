import math

import torch
import torch.nn.functional as F
from monai.config import KeysCollection

from medseg.transforms.per_key import RandPerKeyTransform


def elliptic_kernel(size: int) -> list[list[bool]]:
    """Rasterize an ellipse into `size` rows and columns, at least 1, like OpenCV's `MORPH_ELLIPSE`.

    With an even size it lies off center, toward the last row and column: `size=2` gives `[[0, 1], [1, 1]]`.
    """
    if size < 1:
        raise ValueError(f"The size of a kernel must be at least 1, got {size}.")
    center = size // 2
    half_widths = [round(math.sqrt(center**2 - (row - center) ** 2)) for row in range(size)]
    return [[abs(column - center) <= half for column in range(size)] for half in half_widths]


def dilate(label: torch.Tensor, kernel: list[list[bool]]) -> torch.Tensor:
    """Replace every value by the largest one under the kernel (gray dilation, OpenCV's convention).

    The label is `[C, H, W]` of any dtype, with whole numbers up to 2**24. The kernel is not mirrored and its anchor,
    which is set, is row `rows // 2`, column `columns // 2`. Places outside of the label do not count.
    """
    return _under_kernel(label, kernel, -math.inf).amax(dim=0).to(label.dtype)


def erode(label: torch.Tensor, kernel: list[list[bool]]) -> torch.Tensor:
    """Replace every value by the smallest one under the kernel; else as `dilate`."""
    return _under_kernel(label, kernel, math.inf).amin(dim=0).to(label.dtype)


def _under_kernel(label: torch.Tensor, kernel: list[list[bool]], outside: float) -> torch.Tensor:
    """The label shifted to every set place of the kernel: `[places, C, H, W]`."""
    rows, columns = len(kernel), len(kernel[0])
    top, left = rows // 2, columns // 2
    values = label if label.is_floating_point() else label.float()
    padded = F.pad(values, (left, columns - 1 - left, top, rows - 1 - top), value=outside)
    height, width = label.shape[-2:]
    places = [(y, x) for y, row in enumerate(kernel) for x, flag in enumerate(row) if flag]
    return torch.stack([padded[..., y : y + height, x : x + width] for y, x in places])


class RandDilateEroded(RandPerKeyTransform):
    """Randomly dilate or erode a label by a pixel or two, so that the exact border is not learned.

    As in SSFormer's published augmentation, with OpenCV's ellipses of 2 to 4 pixels on soft labels. MONAI's
    morphological operations know binary masks and odd squares only, scikit-image's run on the CPU only.

    Args:
        keys: labels `[C, H, W]`, binary or soft, of any dtype. All get the same change.
        kernel_range: the kernel's size is drawn from this range, without its end; (2, 5) gives 2, 3 or 4 pixels.
        prob: chance that a call changes anything; dilation and erosion are then equally likely.

    Raises:
        ValueError: `kernel_range` is empty or starts below 1.
    """

    def __init__(
        self,
        keys: KeysCollection,
        kernel_range: tuple[int, int] = (2, 5),
        prob: float = 2 / 3,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, prob, allow_missing_keys)
        low, high = kernel_range
        if not 1 <= low < high:
            raise ValueError(f"kernel_range must be ascending and start at 1 or more, got {kernel_range}.")
        self.kernel_range = (low, high)

    def randomize(self, data: object = None) -> None:
        """Draw whether to act, which of the two operations, and the kernel's size."""
        super().randomize(None)
        self._operation = dilate if self.R.random_sample() < 0.5 else erode
        self._size = int(self.R.randint(*self.kernel_range))

    def _change(self, values: torch.Tensor) -> torch.Tensor:
        return self._operation(values, elliptic_kernel(self._size))
