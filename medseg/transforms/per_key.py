"""What transforms that change the value of each key have in common."""

from collections.abc import Hashable, Mapping
from typing import Any

import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform, RandomizableTransform
from monai.utils import convert_to_dst_type, convert_to_tensor


class PerKeyTransform(MapTransform):
    """Base of transforms that replace the value of each key by `_change(data, key)`."""

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return a copy of `data` with the values changed."""
        out = dict(data)
        for key in self.key_iterator(out):
            out[key] = self._change(out, key)
        return out

    def _change(self, data: Mapping[Hashable, Any], key: Hashable) -> Any:
        raise NotImplementedError


class RandPerKeyTransform(RandomizableTransform, MapTransform):
    """Base of random transforms that change all keys in the same way, by `_change(tensor)`.

    They run on the device of the data, keep the type and metadata of the values and change no geometry, so that there
    is nothing to invert.

    Args:
        keys: keys of tensors or arrays.
        prob: chance that a call changes anything.
        allow_missing_keys: do nothing for missing keys.
    """

    def __init__(self, keys: KeysCollection, prob: float, allow_missing_keys: bool = False) -> None:
        MapTransform.__init__(self, keys, allow_missing_keys)
        RandomizableTransform.__init__(self, prob)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return a copy of `data` with the values changed."""
        out = dict(data)
        self.randomize(None)
        for key in self.key_iterator(out) if self._do_transform else ():
            changed = self._change(convert_to_tensor(out[key], track_meta=False))
            out[key] = convert_to_dst_type(changed, out[key])[0]
        return out

    def _change(self, values: torch.Tensor) -> torch.Tensor:
        raise NotImplementedError
