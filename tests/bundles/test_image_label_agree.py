"""Image and label carry the same picture through the training transforms of every config: afterwards they still agree.

All random steps act in every pass. It fails when one of them changes only the image or only the label, changes both
differently, or makes fractions of label values.
"""

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import torch
from monai.transforms import Compose, RandomizableTransform
from PIL import Image
from running import BUNDLES, workflow_of

SEEDS = 16
SIZE = 128
CONFIGS = [
    (bundle.name, ("train", *variant))
    for bundle in sorted(BUNDLES.iterdir())
    if (bundle / "configs" / "train.yaml").is_file()
    for variant in [(), *((f"variants/{path.stem}",) for path in sorted(bundle.glob("configs/variants/*.yaml")))]
]
# the published augmentation resizes masks with soft edges and then dilates or erodes them by up to three pixels
SOFT = {("ssformer_polyp_segmentation", ("train", "variants/published"))}


def classes_2d() -> np.ndarray:
    """A bold L with a spot, which no flip or turn maps onto itself: 0 and 1, `[H, W]`."""
    picture = np.zeros((150, 190), np.uint8)
    picture[20:130, 30:70] = picture[90:130, 30:160] = picture[30:60, 120:150] = 1
    return picture


def classes_3d() -> np.ndarray:
    """Two classes of different outline that change from slice to slice: 0, 1 and 2, `[X, Y, Z]`."""
    volume = np.zeros((70, 60, 16), np.uint8)
    for z in range(16):
        volume[8:28, 8 + z : 30 + z, z] = 1
        volume[40 : 60 - z, 10:50, z] = 2
    return volume


def write_pictures(folder: Path) -> dict[str, str]:
    gray = classes_2d() * np.uint8(255)
    Image.fromarray(gray).convert("RGB").save(folder / "image.png")
    Image.fromarray(gray).save(folder / "label.png")
    return {"image": str(folder / "image.png"), "label": str(folder / "label.png")}


def write_volumes(folder: Path, groups: list[list[int]]) -> dict[str, str]:
    classes = classes_3d()
    values = np.array([5, groups[0][-1], groups[1][0]], np.uint8)[classes]  # 5 is in no group: background
    affine = np.diag([-2.0, 1.8, 4.0, 1.0])
    for name, voxels in (("image", (classes * 700.0 - 1000).astype(np.int16)), ("label", values)):
        nibabel.save(nibabel.Nifti1Image(voxels, affine), folder / f"{name}.nii.gz")
    return {"image": str(folder / "image.nii.gz"), "label": str(folder / "label.nii.gz")}


def always(transform: Any) -> None:
    """Let every random step of a composition act."""
    for step in transform.transforms if isinstance(transform, Compose) else ():
        always(step)
    if isinstance(transform, RandomizableTransform):
        transform.prob = 1.0


def classes_of(image: torch.Tensor, mean: Any, std: Any, highest: int) -> torch.Tensor:
    """The classes `[H, W]` that an image `[C, H, W]` shows: its middle channel, before normalization, in steps."""
    if mean is not None:
        image = image * torch.tensor(std)[:, None, None] + torch.tensor(mean)[:, None, None]
    return (image[len(image) // 2] * highest).round().clamp(0, highest)


@pytest.mark.parametrize(
    ("bundle", "configs"), CONFIGS, ids=lambda value: value if isinstance(value, str) else value[-1]
)
def test_image_and_label_agree(bundle: str, configs: tuple[str, ...], tmp_path: Path) -> None:
    folders = {key: str(tmp_path / key) for key in ("output_dir", "ckpt_dir", "phantom_dir")}
    parser = workflow_of("train", bundle, *configs, **folders, device="cpu", image_size=SIZE).parser
    if "spacing" in parser:  # coarse ones leave too few pixels
        parser["spacing"] = [1.5, 1.5, 3.0]
    parser.parse(reset=True)
    preprocessing = parser.get_parsed_content("train::preprocessing")
    if not any("label" in step.keys for step in preprocessing.transforms):
        assert bundle.startswith("msformer")  # trains without labels
        return
    groups = parser.get("label_groups")
    item = write_volumes(tmp_path, groups) if groups else write_pictures(tmp_path)
    highest = len(groups) if groups else 1
    is_soft = (bundle, configs) in SOFT
    always(preprocessing)
    seen = set()
    for seed in range(SEEDS):
        preprocessing.set_random_state(seed)
        found = preprocessing(dict(item))
        for sample in found if isinstance(found, list) else [found]:
            label = sample["label"].as_tensor()
            if is_soft:
                assert 0 <= label.min() <= label.max() <= 1
                label = label.round()
            values = set(label.unique().tolist())
            assert values <= set(range(highest + 1)), f"seed {seed}: the label has the values {sorted(values)[:9]}"
            seen |= values
            image = classes_of(sample["image"].as_tensor(), parser.get("mean"), parser.get("std"), highest)
            assert image.shape == label[0].shape == (SIZE, SIZE)
            either = (image > 0) | (label[0] > 0)
            different = ((image != label[0]).sum() / either.sum().clamp(min=1)).item()
            assert different < 0.25, f"seed {seed}: {different:.0%} of the foreground differs"
    assert seen == set(range(highest + 1))
