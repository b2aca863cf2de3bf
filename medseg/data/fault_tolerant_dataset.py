"""A dataset in which one case that fails does not stop the others."""

from collections.abc import Sequence
from typing import Any

from monai.data import Dataset
from monai.transforms import Compose, LoadImaged

from medseg.data.failures import check_name, describe_failure

SOURCE_KEY = "source"
"""Key of an item's image as it was read, before any other transform."""


class FaultTolerantDataset(Dataset):
    """MONAI's `Dataset`, but an item whose transform fails is a `CaseFailure`, not an exception.

    It is the only place where unreadable files are found out in inference. An exception in the thread of MONAI's
    `ThreadDataLoader` would end the run early without an error. Give the loader
    `collate_fn=monai.data.utils.no_collation` and run it with `medseg.engines.FaultTolerantEvaluator`.

    Every item also gets the image as `LoadImaged` read it, under `source`: pictures, measurements and records use it,
    so that a file is decoded once.

    Args:
        data: items, dicts whose `image` is the path of the file.
        transform: what turns an item into tensors.
    """

    def __init__(self, data: Sequence[dict[str, Any]], transform: Compose) -> None:
        super().__init__(data, transform)
        steps = list(transform.transforms)
        self._loaded = next((i + 1 for i, step in enumerate(steps) if isinstance(step, LoadImaged)), 0)

    def _transform(self, index: int) -> Any:
        item: Any = self.data[index]
        try:
            check_name(str(item["image"]))
            loaded: Any = self.transform(item, end=self._loaded) if self._loaded else item
            # a copy, because later steps may change the values in place
            source = {SOURCE_KEY: loaded["image"].clone()} if self._loaded else {}
            return {**self.transform(loaded, start=self._loaded), **source}
        except Exception as error:
            return describe_failure(str(item["image"]), error)
