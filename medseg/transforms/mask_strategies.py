"""Rules that make a mask of one kind of object from a cluster map and its image, without ground truth.

Each is a function `(labels, image, **options) -> mask`: cluster map `[H, W]` of whole numbers, image `[C, H, W]`, mask
`[H, W]` of bool, empty where no object is found. `MASK_STRATEGIES` names them for configs.
"""

from collections.abc import Callable, Sequence

import numpy as np
from scipy import ndimage
from skimage.filters import threshold_otsu
from skimage.measure import label as connected_components
from skimage.morphology import closing, disk, opening
from skimage.segmentation import clear_border


def lesion_mask(
    labels: np.ndarray,
    image: np.ndarray,
    channel_weights: Sequence[float] = (0.0, 0.0, 1.0),
    view_radius: float = 1.05,
    center_width: float = 0.6,
    opening_radius: float = 0.016,
    min_contrast: float = 0.05,
    area_limits: tuple[float, float] = (0.002, 0.95),
    max_border: float = 0.5,
) -> np.ndarray:
    """The pigmented lesion of a dermoscopic image: the clusters darker than the skin, as one filled object.

    Clusters are divided into dark and light ones by Otsu's threshold on their mean brightness, weighted by their
    areas. Of the connected parts of the dark ones the one with the most pixels near the center is the lesion.

    Args:
        labels: cluster map.
        image: RGB, or one channel.
        channel_weights: of red, green and blue in the brightness; melanin absorbs blue light most. Ignored for images
            that have not as many channels.
        view_radius: what lies outside of this ellipse is the dark frame of the dermatoscope, not skin; 1 touches the
            image's sides, 1.42 its corners.
        center_width: width of the Gaussian that weighs pixels by their distance from the center, in half sides.
        opening_radius: of the opening that cuts hairs off, as a share of the shorter side.
        min_contrast: least difference of the mean brightness of both groups of clusters; below it there is no lesion.
        area_limits: least and greatest area of a lesion, as shares of the image.
        max_border: greatest share of the image's border that a lesion may touch.
    """
    height, width = labels.shape
    weights = np.asarray(channel_weights, dtype=np.float64)
    brightness = image.mean(0) if len(weights) != len(image) else np.tensordot(weights / weights.sum(), image, axes=1)
    distance = center_distance(height, width)
    view = distance < view_radius
    means = cluster_means(labels, brightness)
    dark = (means <= _otsu(means[view])) & view
    light = ~dark & view
    if not dark.any() or not light.any() or brightness[light].mean() - brightness[dark].mean() < min_contrast:
        return np.zeros(labels.shape, dtype=bool)
    dark = ndimage.binary_fill_holes(opening(dark, disk(max(1, round(opening_radius * min(height, width))))))
    importance = np.exp(-np.square(distance / center_width))
    parts = [part for part in _parts(dark) if _is_plausible(part, area_limits, max_border)]
    return max(parts, key=lambda part: float(importance[part].sum()), default=np.zeros(labels.shape, dtype=bool))


def lung_mask(
    labels: np.ndarray,
    image: np.ndarray,
    max_parts: int = 2,
    min_area: float = 0.002,
    min_share: float = 0.1,
    closing_radius: float = 0.0125,
) -> np.ndarray:
    """The lungs of an axial CT slice: air inside the body.

    Clusters are divided into air and tissue by Otsu's threshold on their mean intensity, weighted by their areas.
    Air that touches the image's border is outside of the body; of the rest the largest parts are the lungs.

    Args:
        labels: cluster map.
        image: the slice, one channel, more is denser.
        max_parts: greatest number of separate parts; 2 are the lungs, more let through recesses that a slice cuts.
        min_area: least area of a part, as a share of the image.
        min_share: least area of a part, as a share of the largest one; leaves out the trachea.
        closing_radius: of the closing that takes vessels in, as a share of the shorter side.
    """
    means = cluster_means(labels, image.mean(0))
    air = means <= _otsu(means)
    if air.all():
        return np.zeros(labels.shape, dtype=bool)
    # a row around the image joins all air outside, also where a table or an arm divides it
    inside = clear_border(np.pad(air, 1, constant_values=True))[1:-1, 1:-1]
    parts = sorted(_parts(inside), key=np.count_nonzero, reverse=True)[:max_parts]
    large = [part for part in parts if part.sum() >= max(min_area * part.size, min_share * parts[0].sum())]
    lungs = np.logical_or.reduce([np.zeros(labels.shape, dtype=bool), *large])
    radius = round(closing_radius * min(labels.shape))
    return ndimage.binary_fill_holes(closing(ndimage.binary_fill_holes(lungs), disk(radius)))


MASK_STRATEGIES: dict[str, Callable[..., np.ndarray]] = {"lesion": lesion_mask, "lungs": lung_mask}


def cluster_means(labels: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Replace every pixel's value by the mean of its cluster; both `[H, W]`."""
    _, indices = np.unique(labels, return_inverse=True)
    indices = indices.ravel()
    means = np.bincount(indices, weights=values.ravel()) / np.bincount(indices)
    return means[indices].reshape(labels.shape)


def center_distance(height: int, width: int) -> np.ndarray:
    """Distance of every pixel from the center in half sides: 1 in the middle of each side."""
    rows = (np.arange(height) + 0.5) / height * 2 - 1
    columns = (np.arange(width) + 0.5) / width * 2 - 1
    return np.hypot(rows[:, None], columns[None, :])


def _otsu(values: np.ndarray) -> float:
    """Otsu's threshold of values of which only a few differ: the greatest value of the lower group."""
    # each value is a bin of its own, because equal bins may divide two groups in the middle of a bin
    levels, counts = np.unique(values, return_counts=True)
    return float(levels[0]) if len(levels) < 2 else float(threshold_otsu(hist=(counts, levels)))


def _parts(mask: np.ndarray) -> list[np.ndarray]:
    """The connected parts (8 neighbors) of a mask."""
    numbered, count = connected_components(mask, return_num=True)
    return [numbered == number for number in range(1, count + 1)]


def _is_plausible(part: np.ndarray, area_limits: tuple[float, float], max_border: float) -> bool:
    border = np.concatenate([part[0], part[-1], part[1:-1, 0], part[1:-1, -1]])
    return area_limits[0] <= part.mean() <= area_limits[1] and border.mean() <= max_border
