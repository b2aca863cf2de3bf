"""From probabilities on the network's grid to a label map on the source's voxels, in bounded memory."""

from collections.abc import Hashable, Mapping

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data.meta_tensor import MetaTensor
from monai.transforms import MapTransform, SpatialResample
from monai.utils import MetaKeys
from nibabel.affines import apply_affine
from nibabel.orientations import apply_orientation, inv_ornt_aff, io_orientation, ornt_transform


class ArgmaxInvertd(MapTransform):
    """The class of the largest probability in each voxel of the source: undoes resampling and takes the argmax.

    It gives what MONAI's `Invertd` (linear) and `AsDiscreted(argmax=True)` give after `Orientationd`, `Spacingd` and
    other steps that the affine tells, but never holds the probabilities of the whole source: these take four bytes a
    voxel and class, the label map takes one. Voxels beyond the grid's border get the border's class.

    Args:
        keys: keys of probabilities or logits, each a `MetaTensor` `[C, X, Y, Z]` of 2 to 255 classes that knows its
            own affine and, from `LoadImaged`, the source's `original_affine` and `spatial_shape`. Each becomes a label
            map `[1, X, Y, Z]` of uint8 with the source's shape and affine.
        slab_voxels: how many voxels of the source are resampled at a time; at least one slice is.
        allow_missing_keys: do nothing for missing keys.

    Raises:
        ValueError: On a call, for anything else than a `MetaTensor` of three axes and 2 to 255 classes.
    """

    def __init__(self, keys: KeysCollection, slab_voxels: int = 2**22, allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)
        self.slab_voxels = slab_voxels
        self.resample = SpatialResample(mode="bilinear", padding_mode="border", align_corners=False, dtype=np.float32)

    def __call__(self, data: Mapping[Hashable, MetaTensor]) -> dict[Hashable, MetaTensor]:
        """Return a copy of `data` with label maps in place of the probabilities."""
        out = dict(data)
        for key in self.key_iterator(out):
            out[key] = self._source_labels(out[key])
        return out

    def _source_labels(self, scores: MetaTensor) -> MetaTensor:
        if not isinstance(scores, MetaTensor) or scores.ndim != 4 or not 2 <= len(scores) <= 255:
            raise ValueError(f"Scores must be a MetaTensor [2 to 255 classes, X, Y, Z], got {list(scores.shape)}.")
        affine = np.asarray(scores.meta[MetaKeys.ORIGINAL_AFFINE], dtype=np.float64)
        shape = tuple(int(size) for size in scores.meta[MetaKeys.SPATIAL_SHAPE])
        # resampled along the network's axes, so that the order of the source's axes changes nothing, not even rounding
        source, ours = io_orientation(affine), io_orientation(np.asarray(scores.affine, dtype=np.float64))
        turned = ornt_transform(source, ours)
        grid = affine @ inv_ornt_aff(turned, shape)
        width, height, depth = (shape[int(np.flatnonzero(turned[:, 0] == axis)[0])] for axis in range(3))
        labels = np.empty((width, height, depth), np.uint8)
        thickness = max(1, self.slab_voxels // (width * height))
        for first in range(0, depth, thickness):
            place = grid.copy()
            place[:3, 3] = apply_affine(grid, [0, 0, first])
            size = (width, height, min(thickness, depth - first))
            slab: torch.Tensor = self.resample(scores, dst_affine=torch.as_tensor(place), spatial_size=size)
            labels[..., first : first + thickness] = slab.argmax(0).to(torch.uint8).cpu().numpy()
        labels = apply_orientation(labels, ornt_transform(ours, source)).copy()  # no negative strides
        meta = {**scores.meta, MetaKeys.AFFINE: torch.as_tensor(affine)}
        return MetaTensor(torch.from_numpy(labels)[None], meta=meta)
