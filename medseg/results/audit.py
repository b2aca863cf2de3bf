"""What a dataset of images and masks holds, and which of its images show the same thing."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from skimage.measure import label as connected_components
from torch.nn import functional as F

from medseg.data.checks import is_gray_mask
from medseg.data.masks import decode_mask, mask_luminance
from medseg.data.pictures import decode_picture
from medseg.errors import InputError
from medseg.files import case_name
from medseg.networks.ssformer import SSFormer

#: Similarity from which on a pair is told as suspicious
SUSPICIOUS = 0.8

_SIDE = 224  # pixels, the size of the encoder's training images
_MEAN, _STD = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
_TINY = 0.001  # share of the image
_BLOCK = 512  # images whose similarities are in memory at a time


class _Item(NamedTuple):
    part: str
    image: str
    label: str
    facts: dict[str, Any]
    embedding: torch.Tensor


def audit_pairs(parts: Mapping[str, Sequence[Mapping[str, str]]], most: int = 20) -> dict[str, Any]:
    """Describe pairs of image and mask, and find copies and near duplicates within and between the parts.

    Near duplicates are found by the cosine similarity of the last feature map of EfficientNet-Lite0 with ImageNet
    weights, averaged in 3 by 3 fields. It is 1 for copies. On 1,000 images of Kvasir-SEG, pairs of different lesions
    reach about 0.8. Frames of one film reach it too: whether a pair is a problem is for a person to decide.

    Args:
        parts: name -> pairs, each `{"image": file, "label": file}`; for example training and test images.
        most: number of pairs to list within each part and between each two.

    Returns:
        Plain values. `parts`: name -> `images`, `formats`, `sizes` (height x width: number), `empty`, `tiny` (below
        0.1 % of the image), `at_border`, `gray` (masks with values between black and white), `areas` (shares, one per
        image), `lesions` (connected components, one per image). `copies`: groups of files with the same pixels.
        `similar`: for each part and each two the pairs, most similar first: `parts`, `images`, `labels`,
        `similarity`, `mask_dice`.

    Raises:
        InputError: there are fewer than two images, a file is unreadable, or the ImageNet weights are not at hand.
    """
    if sum(map(len, parts.values())) < 2:
        raise InputError("An audit needs two or more pairs of image and mask: check the folders images/ and masks/.")
    items = list(_items(parts))
    names = list(parts)
    between = [(one, other) for index, one in enumerate(names) for other in names[index:]]
    return {
        "schema": "medseg-audit-1",
        "parts": {name: _summary([item for item in items if item.part == name]) for name in names},
        "copies": _copies(items),
        "similar": [pair for one, other in between for pair in _similar(items, one, other, most)],
        "suspicious_from": SUSPICIOUS,
    }


def _items(parts: Mapping[str, Sequence[Mapping[str, str]]]) -> Iterator[_Item]:
    network = SSFormer(encoder="efficientnet_lite0", decoder="simple", decoder_channels=8, pretrained="imagenet")
    encoder = network.get_submodule("encoder").eval()
    for part, pairs in parts.items():
        for pair in pairs:
            picture = decode_picture(pair["image"])
            luminance = mask_luminance(pair["label"])
            mask = luminance > 127
            facts = {
                "size": f"{picture.shape[0]} x {picture.shape[1]}",
                "format": Path(pair["image"]).suffix.lower(),
                "sha256": hashlib.sha256(str(picture.shape).encode() + picture.tobytes()).hexdigest(),
                "area": float(mask.mean()),
                "lesions": int(connected_components(mask, return_num=True)[1]),
                "at_border": bool(mask[[0, -1]].any() or mask[:, [0, -1]].any()),
                "gray": is_gray_mask(luminance),
            }
            yield _Item(part, pair["image"], pair["label"], facts, _embed(encoder, picture))


def _embed(encoder: torch.nn.Module, picture: np.ndarray) -> torch.Tensor:
    small = np.array(Image.fromarray(picture).resize((_SIDE, _SIDE), Image.Resampling.BILINEAR))
    image = (torch.from_numpy(small) / 255 - _MEAN) / _STD
    with torch.inference_mode():
        features = F.adaptive_avg_pool2d(encoder(image.permute(2, 0, 1)[None])[-1], 3)
    return F.normalize(features.flatten(), dim=0)


def _summary(items: Sequence[_Item]) -> dict[str, Any]:
    def named(where: Callable[[dict[str, Any]], bool]) -> list[str]:
        return [case_name(item.image) for item in items if where(item.facts)]

    return {
        "images": len(items),
        "formats": dict(Counter(item.facts["format"] for item in items).most_common()),
        "sizes": dict(Counter(item.facts["size"] for item in items).most_common()),
        "empty": named(lambda facts: facts["area"] == 0),
        "tiny": named(lambda facts: 0 < facts["area"] < _TINY),
        "at_border": named(lambda facts: facts["at_border"]),
        "gray": named(lambda facts: facts["gray"]),
        "areas": [item.facts["area"] for item in items],
        "lesions": [item.facts["lesions"] for item in items],
    }


def _copies(items: Sequence[_Item]) -> list[list[dict[str, str]]]:
    groups: dict[str, list[dict[str, str]]] = {}
    for item in items:
        groups.setdefault(item.facts["sha256"], []).append({"part": item.part, "image": item.image})
    return [group for group in groups.values() if len(group) > 1]


def _similar(items: Sequence[_Item], one: str, other: str, most: int) -> list[dict[str, Any]]:
    first, second = ([item for item in items if item.part == name] for name in (one, other))
    if not first or not second:
        return []
    columns = torch.stack([item.embedding for item in second])
    found: list[tuple[float, int, int]] = []
    for start in range(0, len(first), _BLOCK):
        block = torch.stack([item.embedding for item in first[start : start + _BLOCK]]) @ columns.T
        if one == other:  # each pair once, and none with itself
            block = block.masked_fill(torch.ones_like(block, dtype=torch.bool).tril(start), -1.0)
        values, places = block.flatten().topk(min(most, block.numel()))
        found += [
            (float(value), start + place // len(second), place % len(second))
            for value, place in zip(values, places.tolist(), strict=True)
            if value > -1
        ]
    return [_pair(value, first[row], second[column]) for value, row, column in sorted(found, reverse=True)[:most]]


def _pair(similarity: float, one: _Item, other: _Item) -> dict[str, Any]:
    masks = [
        np.array(Image.fromarray(decode_mask(item.label)[..., 0]).resize((256, 256), Image.Resampling.NEAREST))
        for item in (one, other)
    ]
    overlap, total = int((masks[0] & masks[1]).sum()), int(masks[0].sum()) + int(masks[1].sum())
    return {
        "parts": [one.part, other.part],
        "images": [one.image, other.image],
        "labels": [one.label, other.label],
        "similarity": round(similarity, 4),
        "mask_dice": round(2 * overlap / total, 4) if total else None,
    }
