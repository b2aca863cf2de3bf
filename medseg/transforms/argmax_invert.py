from collections.abc import Hashable, Mapping

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data.meta_tensor import MetaTensor
from monai.transforms import SpatialResample
from monai.utils import MetaKeys, convert_to_tensor
from nibabel.affines import apply_affine
from nibabel.orientations import apply_orientation, inv_ornt_aff, io_orientation, ornt_transform

from medseg.transforms.per_key import PerKeyTransform

_SAME_PLACE = 1e-4  # voxels


class ArgmaxInvertd(PerKeyTransform):
    """The class of the largest probability in each voxel of the source: undoes resampling and takes the argmax.

    It gives what MONAI's `Invertd` (linear) and `AsDiscreted(argmax=True)` give after `Orientationd`, `Spacingd` and
    other steps that the affine tells, but never holds the probabilities of the whole source. Voxels beyond the grid's
    border get the border's class.

    Args:
        keys: keys of probabilities or logits, each a `MetaTensor` `[C, X, Y, Z]` of 2 to 255 classes that knows its
            own affine and, from `LoadImaged`, the source's `original_affine` and `spatial_shape`. Each becomes a label
            map `[1, X, Y, Z]` of uint8 with the source's shape and affine.
        slab_voxels: how many voxels of the source are resampled at a time; at least one slice is.

    Raises:
        ValueError: On a call, for anything else than a `MetaTensor` of three axes and 2 to 255 classes.
    """

    def __init__(self, keys: KeysCollection, slab_voxels: int = 2**22, allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)
        self.slab_voxels = slab_voxels
        self.resample = SpatialResample(mode="bilinear", padding_mode="border", align_corners=False, dtype=np.float32)

    def _change(self, data: Mapping[Hashable, MetaTensor], key: Hashable) -> MetaTensor:
        scores = data[key]
        if not isinstance(scores, MetaTensor) or scores.ndim != 4 or not 2 <= len(scores) <= 255:
            raise ValueError(f"Scores must be a MetaTensor [2 to 255 classes, X, Y, Z], got {list(scores.shape)}.")
        affine = np.asarray(scores.meta[MetaKeys.ORIGINAL_AFFINE], dtype=np.float64)
        shape = tuple(int(size) for size in scores.meta[MetaKeys.SPATIAL_SHAPE])
        # resampled along the network's axes, so that the order of the source's axes changes nothing, not even rounding
        source, ours = io_orientation(affine), io_orientation(np.asarray(scores.affine, dtype=np.float64))
        turned = ornt_transform(source, ours)
        grid = affine @ inv_ornt_aff(turned, shape)
        width, height, depth = (shape[int(np.flatnonzero(turned[:, 0] == axis)[0])] for axis in range(3))
        size = (width, height, depth)
        weights = _axis_weights(scores, grid, size)
        labels = np.empty((depth, width, height), np.uint8)
        thickness = max(1, self.slab_voxels // (width * height))
        for first in range(0, depth, thickness):
            last = min(first + thickness, depth)
            if weights is None:
                slab = self._resample(scores, grid, (width, height, last - first), first)
            else:
                slab = _interpolate(scores.as_tensor(), weights[0], weights[1], weights[2][first:last])
            # the first class needs no resampling of its own; `max` is ten times as fast as `argmax`
            top = slab.max(0)
            labels[first:last] = ((top.indices + 1) * (top.values > 0)).to(torch.uint8).cpu().numpy()
        labels = labels.transpose(1, 2, 0)
        labels = apply_orientation(labels, ornt_transform(ours, source)).copy()  # no negative strides
        meta = {**scores.meta, MetaKeys.AFFINE: torch.as_tensor(affine)}
        return MetaTensor(torch.from_numpy(labels)[None], meta=meta)

    def _resample(self, scores: MetaTensor, grid: np.ndarray, size: tuple[int, int, int], first: int) -> torch.Tensor:
        place = grid.copy()
        place[:3, 3] = apply_affine(grid, [0, 0, first])
        slab = convert_to_tensor(self.resample(scores, dst_affine=torch.as_tensor(place), spatial_size=size))
        return (slab[1:] - slab[:1]).permute(0, 3, 1, 2)


def _axis_weights(scores: MetaTensor, grid: np.ndarray, size: tuple[int, int, int]) -> list[torch.Tensor] | None:
    """Linear interpolation from `scores` to `grid` as one matrix `[new, old]` per axis; None if axes are not parallel.

    Beyond the border it is the border's value. Products of matrices need a small part of the time of `grid_sample`.
    """
    there = np.linalg.inv(np.asarray(scores.affine, dtype=np.float64)) @ grid
    scales = np.diag(there)[:3]
    if np.abs(there[:3, :3] - np.diag(scales)).max() * max(size) > _SAME_PLACE:
        return None
    weights = []
    for old, new, scale, start in zip(scores.shape[1:], size, scales, there[:3, 3], strict=True):
        place = torch.from_numpy((scale * np.arange(new) + start).clip(0, old - 1))
        distance = place[:, None] - torch.arange(old)
        weights.append((1 - distance.abs()).clamp(min=0).to(scores.device, torch.float32))
    return weights


def _interpolate(
    scores: torch.Tensor, across: torch.Tensor, along: torch.Tensor, through: torch.Tensor
) -> torch.Tensor:
    """Slices of `scores`, `[C, X, Y, Z]`, above the first class on another grid: `[C - 1, *new]`, the last axis first.

    Args:
        scores: scores of classes.
        across: weights of the first axis, `[new, X]`.
        along: weights of the second axis, `[new, Y]`.
        through: weights of the slices, `[new, Z]`.
    """
    used = torch.nonzero(through.any(0)).flatten()
    first, last = int(used[0]), int(used[-1]) + 1
    near = scores[..., first:last].float()
    slices = (near[1:] - near[:1]) @ through[:, first:last].T
    return across @ slices.permute(0, 3, 1, 2) @ along.T
