"""The measures of the polyp segmentation table, computed by pysodmetrics."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

import numpy as np
import torch
from monai.utils import optional_import

from medseg.errors import missing_packages
from medseg.metrics.column_metric import ColumnMetric, MetricColumn

py_sod_metrics, has_py_sod_metrics = optional_import("py_sod_metrics")

THRESHOLDS = np.arange(255, -1, -1)  # the order of pysodmetrics: strictest first


class SaliencyMetric(ColumnMetric):
    """The polyp segmentation table of PraNet (Fan et al., MICCAI 2020, section "Experiments"), per image.

    Everything is computed by `pysodmetrics` on a probability map and a binary mask of one foreground class,
    at the size they come in: hand over maps at the original size of the image. `columns` names the values.

    Conventions:

    - A map is stretched to its own minimum and maximum first, as in PraNet's evaluation (`min_max=True`). A
      constant map is left as it is. So the values do not depend on a threshold such as 0.5, and a map whose
      highest probability is 0.1 still counts as a detection: look at the Dice at 0.5 beside it.
    - The 256 thresholds are t / 255 for t = 0 to 255; a pixel is foreground when it is not below. At t = 0
      that is the whole image, so that even a perfect map has a mean Dice slightly below 1.
    - Over several images the curves are averaged first and the mean or maximum over the thresholds is taken
      last, as published (`summarize`). For the mean that equals the mean of the images' values; the
      maximum E-measure of a set is lower than the mean of the images' maxima.
    - The number that SSFormer's published test script prints as mean Dice is another one: it binarizes the
      map at 0.5 first, which makes it `(255 * Dice at 0.5 + Dice of the all-foreground map) / 256`.

    Empty cases (none occurs in the published test sets):

    - Empty mask: the map is not stretched. Dice and IoU are 1 at every threshold that leaves no foreground
      and 0 at the others; the weighted F-measure is 1 when no pixel reaches 0.5, else 0; S-measure is 1 minus
      the mean of the map, E-measure the share of background, MAE as always.
    - Empty prediction (a map of zeros) on a mask that is not empty: Dice and IoU are 0 except at t = 0,
      weighted F is 0 unless the mask comes within 3 pixels of the image's border, where that measure forgives
      errors (its smoothing takes pixels outside of the image as correct).
    - Full mask: S-measure is the mean of the map, E-measure the share of foreground.

    No value is ever NaN. E-measure divides by the number of pixels minus one, as published, so that it
    exceeds 1 by one part in the number of pixels for a perfect map.

    The buffers are values `[N, 7]` (`get_buffer`) and curves `[N, 3, 256]` (`get_curves`), both float32, gathered
    over the processes of a distributed run.

    Args:
        min_max: whether to stretch every map to its own range first.

    Raises:
        InputError: when pysodmetrics is not installed.
    """

    columns: ClassVar[Mapping[str, MetricColumn]] = {
        "mDice256": MetricColumn("Dice of the stretched probability map, mean over 256 thresholds"),
        "mIoU256": MetricColumn("IoU of the stretched probability map, mean over 256 thresholds"),
        "wFm": MetricColumn("weighted F-measure"),
        "Sm": MetricColumn("S-measure"),
        "meanEm": MetricColumn("E-measure, mean over 256 thresholds"),
        "maxEm": MetricColumn("E-measure, maximum over 256 thresholds of the curve averaged over the images"),
        "MAE": MetricColumn("mean absolute error of the stretched probability map"),
    }

    def __init__(self, min_max: bool = True) -> None:
        super().__init__()
        if not has_py_sod_metrics:
            raise missing_packages("SaliencyMetric", "pysodmetrics")
        self.min_max = min_max

    def _compute_tensor(self, y_pred: torch.Tensor, y: torch.Tensor | None = None, **kwargs: Any) -> list[torch.Tensor]:
        """Compare maps with masks.

        Args:
            y_pred: probability maps `[B, 1, H, W]` in [0, 1].
            y: masks `[B, 1, H, W]` in {0, 1}.
            **kwargs: ignored.

        Returns:
            Values `[B, 7]` and curves `[B, 3, 256]` (Dice, IoU, E-measure).

        Raises:
            ValueError: when the shapes are not as above or differ, or a map or a mask leaves [0, 1].
        """
        if y is None:
            raise ValueError("SaliencyMetric needs masks to compare the maps with.")
        if y_pred.ndim != 4 or y_pred.shape[1] != 1 or y_pred.shape != y.shape:
            raise ValueError(
                f"SaliencyMetric expects maps and masks of shape [B, 1, H, W], got {tuple(y_pred.shape)} and "
                f"{tuple(y.shape)}: bring the map back to the mask's size first."
            )
        maps = _in_unit_range(y_pred, "probability maps", "apply a sigmoid first")
        masks = _in_unit_range(y, "masks", "divide by its largest value first") > 0.5
        results = [self._one_image(prob, mask) for prob, mask in zip(maps, masks, strict=True)]
        return [
            torch.as_tensor(np.stack(part), dtype=torch.float32, device=y_pred.device)
            for part in zip(*results, strict=True)
        ]

    def _one_image(self, prob: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Values `[7]` and curves `[3, 256]` of one map and one mask, both `[H, W]`."""
        empty = not mask.any()
        spread = prob.max() - prob.min()
        if self.min_max and spread > 0 and not empty:
            prob = (prob - prob.min()) / spread

        handlers = {
            "dice": py_sod_metrics.DICEHandler(with_dynamic=True, with_adaptive=False),
            "iou": py_sod_metrics.IOUHandler(with_dynamic=True, with_adaptive=False),
        }
        overlap = _measure(py_sod_metrics.FmeasureV2(handlers), prob, mask)
        dice, iou = overlap["dice"]["dynamic"], overlap["iou"]["dynamic"]
        weighted_f = _measure(py_sod_metrics.WeightedFmeasure(), prob, mask)["wfm"]
        if empty:
            # pysodmetrics scores 0 / 0 as 0; nothing predicted where there is nothing is right
            nothing_left = int(prob.max() * 255) < THRESHOLDS
            dice, iou = nothing_left.astype(float), nothing_left.astype(float)
            weighted_f = float(prob.max() < 0.5)

        structure = py_sod_metrics.Smeasure()
        structure.ssim = partial(_ssim_of_part, structure.ssim)
        s_measure = _measure(structure, prob, mask)["sm"]
        alignment = _measure(py_sod_metrics.Emeasure(), prob, mask)["em"]["curve"]
        mae = _measure(py_sod_metrics.MAE(), prob, mask)["mae"]

        means = dice.mean(), iou.mean(), weighted_f, s_measure, alignment.mean(), alignment.max(), mae
        return np.array(means), np.stack([dice, iou, alignment])

    def get_buffer(self) -> Any:
        """The values of all images so far, `[N, 7]` in the order of `columns`; None before the first."""
        buffers = super().get_buffer()  # type: ignore[no-untyped-call]
        return None if buffers is None else buffers[0]

    def get_curves(self) -> Any:
        """The curves of all images so far, `[N, 3, 256]`: Dice, IoU, E-measure at 1, 254 / 255, ..., 0; None before."""
        buffers = super().get_buffer()  # type: ignore[no-untyped-call]
        return None if buffers is None else buffers[1]

    def summarize(self, rows: Sequence[int] | None = None) -> dict[str, float]:
        """As in the base class, but `maxEm` is the maximum of the averaged curve."""
        line = super().summarize(rows)
        curves = self.get_curves()[slice(None) if rows is None else list(rows), 2]
        return line | {"maxEm": curves.double().mean(dim=0).max().item()}


def _in_unit_range(data: torch.Tensor, what: str, remedy: str) -> np.ndarray:
    """`[B, 1, H, W]` to a float64 array `[B, H, W]`, refused outside of [0, 1] (NaN is outside)."""
    array = np.asarray(data.detach().cpu()[:, 0].double())
    if not (array.min() >= 0 and array.max() <= 1):
        raise ValueError(f"SaliencyMetric expects {what} in [0, 1], got {array.min():g} to {array.max():g}: {remedy}.")
    return array


def _measure(measure: Any, prob: np.ndarray, mask: np.ndarray) -> dict[str, Any]:
    """Run a fresh pysodmetrics object on one image."""
    measure.step(prob, mask, normalize=False)
    return measure.get_results()


def _ssim_of_part(ssim: Any, pred: np.ndarray, mask: np.ndarray) -> float:
    """The similarity of one quarter of the S-measure; a quarter without pixels has weight 0, but gave NaN."""
    return ssim(pred, mask) if pred.size else 0.0
