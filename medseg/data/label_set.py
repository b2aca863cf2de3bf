"""The classes of a segmentation of pictures, and what follows from their number."""

from collections.abc import Sequence
from typing import TypeVar

import torch

from medseg.data.masks import MaskReader
from medseg.errors import InputError
from medseg.losses.mask_loss import IGNORED

_Choice = TypeVar("_Choice")


class LabelSet:
    """What configs derive from the classes: two share one channel with a sigmoid, more have one each with a softmax.

    Attributes:
        names: of all but the background.
        binary, several: whether there are two classes, or more.
        out_channels: of the network.
        one_hot: number of classes if there are several, else None.
        threshold: of the probability of two classes, else None.
        file_values: value or color of class 0, 1, ... in the masks that are written.
        reader: reads masks into class numbers.

    Args:
        classes: names, the background first.
        label_values, ignore: as for `medseg.data.MaskReader`.

    Raises:
        InputError: there are fewer than two names, one stands twice, or as `MaskReader`.
    """

    def __init__(
        self,
        classes: Sequence[str],
        label_values: Sequence[int | Sequence[int]] | None = None,
        ignore: int | None = None,
    ) -> None:
        if isinstance(classes, str) or not 1 < len(set(classes)) == len(classes):
            raise InputError(f"classes {classes} must be two or more different names, as [background, polyp].")
        self.names = list(classes[1:])
        self.reader = MaskReader(len(classes), label_values, ignore)
        self.binary = len(classes) == 2
        self.several = not self.binary
        self.out_channels = 1 if self.binary else len(classes)
        self.one_hot = len(classes) if self.several else None
        self.threshold = 0.5 if self.binary else None
        self.file_values = [0, 255] if self.reader.binary else self.reader.label_values

    def columns(self, metric: str, names: Sequence[str]) -> str | list[str]:
        """The headings of a metric's columns: one for two classes, at the threshold, else one for each of `names`."""
        return f"{metric}@{self.threshold}" if self.binary else [f"{metric}_{name}" for name in names]

    def saves(self, wanted: bool) -> bool:
        """Whether probabilities are `wanted` and can be saved: those of one class, in a gray picture.

        Raises:
            InputError: they are wanted for several classes.
        """
        if wanted and self.several:
            raise InputError(
                f"save_probabilities writes one gray picture, but these are the classes {', '.join(self.names)}: leave "
                "it out."
            )
        return wanted

    @staticmethod
    def counts(label: torch.Tensor) -> torch.Tensor:
        """Where pixels of a label count."""
        return label != IGNORED
