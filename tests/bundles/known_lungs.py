"""A network of slices whose answer is known: what is dark is lung, left where the slice is left."""

import torch
from torch import nn


class DarkIsLung(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(20.0))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Slices `[B, 3, H, W]` of 0 (air) to 1, H from left to right, to logits `[B, 3, H, W]`."""
        dark = self.gain * (0.35 - x[:, 1])
        side = torch.linspace(-1, 1, x.shape[2], device=x.device)[:, None].expand_as(dark)
        return torch.stack([-dark, dark - 20 * side, dark + 20 * side], dim=1)
