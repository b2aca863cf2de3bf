"""What all metrics with several columns in the table of an evaluation have in common."""

from collections.abc import Mapping, Sequence
from typing import ClassVar, NamedTuple

from monai.metrics import CumulativeIterationMetric


class MetricColumn(NamedTuple):
    """What a column of an evaluation's table holds.

    Attributes:
        meaning: for the legend below the table.
        is_dice: whether it is the Dice of the masks as they are delivered. The report plots these columns and orders
            cases by them.
    """

    meaning: str
    is_dice: bool = False


class ColumnMetric(CumulativeIterationMetric):
    """Base of metrics whose buffer holds values `[N, C]` of N images, one for each of `columns`.

    Attributes:
        columns: heading -> what the column holds, in the order of the values. This is the one place to declare them.
    """

    columns: ClassVar[Mapping[str, MetricColumn]]

    def summarize(self, rows: Sequence[int] | None = None) -> dict[str, float]:
        """One line of the table: the means over a group of images, without those that have no value (NaN).

        Args:
            rows: positions of the images in the buffer; None for all.

        Returns:
            A value for each of `columns`.

        Raises:
            ValueError: when the group is empty.
        """
        values = self.get_buffer()  # type: ignore[no-untyped-call]
        if values is None or (rows is not None and not len(rows)):
            raise ValueError(f"{type(self).__name__} has no image to summarize: was the data list empty?")
        picked = values if rows is None else values[list(rows)]
        return dict(zip(self.columns, picked.double().nanmean(dim=0).tolist(), strict=True))

    def aggregate(self) -> dict[str, float]:
        """`summarize` over all images."""
        return self.summarize()
