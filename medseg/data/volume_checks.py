"""Checks of volumes before the first step."""

from collections.abc import Sequence

import nibabel
import numpy as np

from medseg.data.checks import CheckedImages
from medseg.data.dicom.reading import load_series
from medseg.data.dicom.series import is_series_path
from medseg.errors import InputError

__all__ = ["check_volume_pairs", "check_volumes"]

# mm; files round affines to float32
_AFFINE_TOLERANCE = 1e-2


def check_volume_pairs(*lists: Sequence[dict[str, str]]) -> None:
    """Read every volume and label map of one or several lists and report all problems in one error.

    A problem is a file that cannot be read, has not three axes or no finite value, or a label map whose shape or affine
    is not that of its volume.

    Args:
        *lists: each of `{"image": path, "label": path}` per pair, as from `find_volume_pairs`.

    Raises:
        InputError: A list is empty, or some pairs have problems.
    """
    if not all(lists):
        raise InputError("A list of volumes, to train or validate on, is empty: put volumes into images/ and labels/.")
    pairs = [pair for pairs in lists for pair in pairs]
    problems = [problem for pair in pairs if (problem := _pair_problem(pair))]
    if problems:
        raise InputError(f"{len(problems)} of {len(pairs)} volumes with label maps have problems: {' '.join(problems)}")


def check_volumes(items: Sequence[dict[str, str]]) -> CheckedImages:
    """Tell the readable volumes, of three axes and with finite values, from the broken ones.

    Args:
        items: `{"image": path}` per volume, as from `find_volumes`.

    Returns:
        The readable items in their order, and one sentence per broken one. Both are empty for no items.
    """
    reasons = [_problem(item["image"]) for item in items]
    return CheckedImages(
        readable=[item for item, reason in zip(items, reasons, strict=True) if not reason],
        problems=[reason for reason in reasons if reason],
    )


def _pair_problem(pair: dict[str, str]) -> str:
    broken = _problem(pair["image"]) or _problem(pair["label"])
    if broken:
        return broken
    image, label = (nibabel.load(pair[key]) for key in ("image", "label"))
    shapes = image.shape, label.shape  # type: ignore[attr-defined]
    if shapes[0] != shapes[1]:
        return f"{pair['label']} has the shape {shapes[1]}, its volume {shapes[0]}: export it again."
    if not np.allclose(image.affine, label.affine, atol=_AFFINE_TOLERANCE):  # type: ignore[attr-defined]
        return f"{pair['label']} has another affine than its volume: export it again."
    return ""


def _problem(path: str) -> str:
    if is_series_path(path):
        try:
            load_series(path)
        except InputError as error:
            return str(error)
        return ""
    try:
        image = nibabel.load(path)
        shape = image.shape  # type: ignore[attr-defined]
        values = np.asarray(image.dataobj)  # type: ignore[attr-defined]
    except Exception as error:  # nibabel and the decompression below it raise many kinds
        return f"{path} cannot be read ({error}): replace it, or convert the series again."
    if len(shape) != 3:
        return f"{path} has {len(shape)} axes: give a volume of three."
    if not np.isfinite(values).any():
        return f"{path} holds no finite value: export it again."
    return ""
