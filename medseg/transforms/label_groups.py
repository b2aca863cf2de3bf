from collections.abc import Hashable, Mapping, Sequence

import torch
from monai.config import KeysCollection

from medseg.errors import InputError
from medseg.transforms.per_key import PerKeyTransform


class LabelGroupsd(PerKeyTransform):
    """Join the values of a label map to classes: those of the first group become 1, of the second 2, and so on.

    Every value of no group becomes 0, the background. MONAI's `LabelFilterd` followed by `MapLabelValued` does the
    same, but needs the groups spelled out three times in each config and cannot check that they fit the network.

    Args:
        keys: keys of the label maps, tensors of any shape that hold whole numbers.
        groups: the values of each class, for example `[[10, 11], [12, 13, 14]]`.
        num_classes: classes of the network, background included, to be compared with the groups; None compares nothing.

    Raises:
        InputError: `num_classes` is not one more than there are groups.
        ValueError: There is no group, a group is empty, or a value occurs more than once.
    """

    def __init__(
        self,
        keys: KeysCollection,
        groups: Sequence[Sequence[int]],
        num_classes: int | None = None,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        values = [value for group in groups for value in group]
        if not groups or not all(groups) or len(set(values)) < len(values):
            raise ValueError(f"Label groups must be lists of different values, got {groups!r}.")
        if num_classes not in (None, len(groups) + 1):
            raise InputError(
                f"label_groups and the background make {len(groups) + 1} classes, but the network has {num_classes}: "
                f"set out_channels to {len(groups) + 1}, or change label_groups."
            )
        self.groups = groups

    def _change(self, data: Mapping[Hashable, torch.Tensor], key: Hashable) -> torch.Tensor:
        label = data[key]
        classes = torch.zeros_like(label)  # a MetaTensor keeps its geometry
        for number, group in enumerate(self.groups, start=1):
            classes[torch.isin(label, torch.as_tensor(group, dtype=label.dtype, device=label.device))] = number
        return classes
