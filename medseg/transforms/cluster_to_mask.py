"""From a cluster map to a mask of one object, without ground truth."""

import logging
from collections.abc import Callable, Hashable, Mapping
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data.meta_obj import get_track_meta
from monai.transforms import MapTransform, Transform
from monai.utils import convert_to_tensor

from medseg.transforms.mask_strategies import MASK_STRATEGIES

__all__ = ["ClusterToMask", "ClusterToMaskd"]

logger = logging.getLogger(__name__)


class ClusterToMask(Transform):
    """Make a mask of the clusters that a rule takes for the object.

    Args:
        strategy: a name of :data:`medseg.transforms.MASK_STRATEGIES`, or a function of the same form.
        options: arguments of that function.

    Raises:
        ValueError: when there is no strategy of that name.
    """

    def __init__(self, strategy: str | Callable[..., np.ndarray], options: Mapping[str, Any] | None = None) -> None:
        if isinstance(strategy, str):
            if strategy not in MASK_STRATEGIES:
                names = ", ".join(MASK_STRATEGIES)
                raise ValueError(f"There is no mask strategy named {strategy}; choose one of {names}.")
            strategy = MASK_STRATEGIES[strategy]
        self.strategy = strategy
        self.options = dict(options or {})

    def __call__(self, clusters: torch.Tensor, image: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        """Make the mask.

        Args:
            clusters: cluster scores ``[K, H, W]``, or a cluster map ``[1, H, W]``. A volume has a third axis, and
                each slice along it is treated alone.
            image: the image ``[C, H, W]`` they belong to.

        Returns:
            mask ``[1, H, W]``, float32, 0 and 1, with the meta data of ``clusters``. Empty when the strategy finds no
            object, and for an image with NaN or infinite values.

        Raises:
            ValueError: when height and width of the two differ.
        """
        if clusters.shape[1:] != image.shape[1:]:
            raise ValueError(
                f"ClusterToMask needs clusters and image of one size, got {tuple(clusters.shape)} "
                f"and {tuple(image.shape)}."
            )
        labels = (clusters.argmax(0) if len(clusters) > 1 else clusters[0].round().long()).cpu().numpy()
        intensities = image.detach().cpu().numpy().astype(np.float64)
        if labels.ndim == 3:
            slices = [self._mask(labels[..., i], intensities[..., i]) for i in range(labels.shape[-1])]
            mask = np.stack(slices, axis=-1)
        else:
            mask = self._mask(labels, intensities)
        if not mask.any():
            logger.warning("No object is found among the clusters: the mask is empty.")
        out = torch.as_tensor(mask[None], dtype=torch.float32, device=clusters.device)
        like = convert_to_tensor(clusters, track_meta=get_track_meta())
        return out if not hasattr(like, "meta") else type(like)(out, meta=like.meta, applied_operations=[])

    def _mask(self, labels: np.ndarray, image: np.ndarray) -> np.ndarray:
        if not np.isfinite(image).all():
            return np.zeros(labels.shape, dtype=bool)
        return self.strategy(labels, image, **self.options)


class ClusterToMaskd(MapTransform):
    """Dictionary form of :class:`ClusterToMask`: replaces cluster scores or maps by masks.

    Args:
        keys: keys of the clusters.
        image_key: key of the image that they belong to.
        strategy: as in :class:`ClusterToMask`.
        options: as in :class:`ClusterToMask`.
        allow_missing_keys: do nothing for missing keys.
    """

    def __init__(
        self,
        keys: KeysCollection,
        strategy: str | Callable[..., np.ndarray],
        image_key: str = "image",
        options: Mapping[str, Any] | None = None,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.image_key = image_key
        self.transform = ClusterToMask(strategy, options)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        out = dict(data)
        for key in self.key_iterator(out):
            out[key] = self.transform(out[key], out[self.image_key])
        return out
