import logging
from collections.abc import Callable, Hashable, Mapping
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data.meta_obj import get_track_meta
from monai.utils import CommonKeys, convert_to_numpy, convert_to_tensor

from medseg.transforms.mask_strategies import MASK_STRATEGIES
from medseg.transforms.per_key import PerKeyTransform

logger = logging.getLogger("medseg")


class ClusterToMaskd(PerKeyTransform):
    """Replace clusters by the mask of those that a rule takes for the object, without labels.

    Clusters are scores `[K, H, W]` or a map `[1, H, W]`, with `image` `[C, H, W]`; volumes have a third axis, and each
    slice along it is treated alone. The mask is `[1, H, W]`, float32, of 0 and 1, with the metadata of the clusters. It
    is empty when no object is found, and for an image with NaN or infinite values.

    Args:
        keys: keys of the clusters.
        strategy: a name of `MASK_STRATEGIES`, or a function of the same form.
        options: arguments of that function.

    Raises:
        ValueError: There is no strategy of that name, or (on a call) clusters and image differ in size.
    """

    def __init__(
        self,
        keys: KeysCollection,
        strategy: str | Callable[..., np.ndarray],
        options: Mapping[str, Any] | None = None,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        if isinstance(strategy, str):
            if strategy not in MASK_STRATEGIES:
                raise ValueError(
                    f"There is no mask strategy named {strategy}; choose one of {', '.join(MASK_STRATEGIES)}."
                )
            strategy = MASK_STRATEGIES[strategy]
        self.strategy = strategy
        self.options = dict(options or {})

    def _change(self, data: Mapping[Hashable, torch.Tensor], key: Hashable) -> torch.Tensor:
        clusters, image = data[key], data[CommonKeys.IMAGE]
        if clusters.shape[1:] != image.shape[1:]:
            raise ValueError(
                f"ClusterToMaskd needs clusters and image of one size, got {tuple(clusters.shape)} "
                f"and {tuple(image.shape)}."
            )
        labels = convert_to_numpy(clusters.argmax(0) if len(clusters) > 1 else clusters[0].round().long())
        intensities = convert_to_numpy(image).astype(np.float64)
        if labels.ndim == 3:
            slices = range(labels.shape[-1])
            mask = np.stack([self._slice_mask(labels[..., i], intensities[..., i]) for i in slices], axis=-1)
        else:
            mask = self._slice_mask(labels, intensities)
        if not mask.any():
            logger.warning("No object is found among the clusters: the mask is empty.")
        out = torch.as_tensor(mask[None], dtype=torch.float32, device=clusters.device)
        like = convert_to_tensor(clusters, track_meta=get_track_meta())
        return out if not hasattr(like, "meta") else type(like)(out, meta=like.meta, applied_operations=[])

    def _slice_mask(self, labels: np.ndarray, image: np.ndarray) -> np.ndarray:
        if not np.isfinite(image).all():
            return np.zeros(labels.shape, dtype=bool)
        return self.strategy(labels, image, **self.options)
