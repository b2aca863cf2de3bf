"""Networks whose answer is known: what is bright in the image is the polyp."""

import time

import torch
from torch import nn


class BrightIsForeground(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(20.0))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalized image `[B, 3, H, W]` to logits `[B, 1, H, W]`."""
        return self.gain * x.mean(dim=1, keepdim=True)


class SlowBrightIsForeground(BrightIsForeground):
    """Slow enough to be interrupted between two images."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        time.sleep(0.25)
        return super().forward(x)


class FailsOnBlack(BrightIsForeground):
    """A black image is more than it can bear."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.max() < 0:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 byte")
        return super().forward(x)
