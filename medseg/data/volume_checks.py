"""Checks of volumes before the first step."""

from collections.abc import Sequence

import numpy as np
from monai.utils import MetaKeys

from medseg.data.volume_reader import VolumeReader
from medseg.errors import InputError

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


def _pair_problem(pair: dict[str, str]) -> str:
    reader = VolumeReader()
    try:
        (image, image_meta), (label, label_meta) = (
            reader.get_data(reader.read(pair[key])) for key in ("image", "label")
        )
    except InputError as error:
        return str(error)
    if image.shape != label.shape:
        return f"{pair['label']} has the shape {label.shape}, its volume {image.shape}: export it again."
    if not np.allclose(image_meta[MetaKeys.AFFINE], label_meta[MetaKeys.AFFINE], atol=_AFFINE_TOLERANCE):
        return f"{pair['label']} has another affine than its volume: export it again."
    return ""
