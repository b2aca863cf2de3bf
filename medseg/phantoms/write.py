import json
import os
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from monai.config import PathLike
from PIL import Image

from medseg.errors import InputError
from medseg.phantoms.lesion import lesion_phantom
from medseg.phantoms.lung import lung_phantom
from medseg.phantoms.lung_volume import VolumePhantom, lung_volume_phantom
from medseg.phantoms.polyp import polyp_phantom

_Phantom = Callable[[int, tuple[int, int] | None, int], tuple[np.ndarray, np.ndarray]]
_Volume = Callable[[int, tuple[int, ...] | None, int], VolumePhantom]

# Generators by kind: `(index, size, seed)` -> picture, uint8 `(H, W, 3)` RGB, and mask, uint8 `(H, W)` of 0 and 255.
# Every index (number of the picture in its set) and seed (number of the set) gives another picture. The size is (H, W)
# in pixels; `None` draws one; a side below 64 is a `ValueError`.
PHANTOMS: dict[str, _Phantom] = {"polyp": polyp_phantom, "lesion": lesion_phantom, "lung": lung_phantom}
# Generators of volumes by kind: `(index, size, seed)` -> volume, label map and affine.
VOLUME_PHANTOMS: dict[str, _Volume] = {"lung_volume": lung_volume_phantom}

# part of a set's description: raise it when a generator draws other pictures, so that old sets are not reused
_VERSION = 1
_DESCRIPTION = "phantoms.json"
_TEST_SHARE = 0.2


def write_phantoms(kind: str, folder: PathLike, count: int, seed: int, size: tuple[int, ...] | None = None) -> Path:
    """Write a set of phantoms as a dataset folder: `images/`, `masks/`, `train.txt` and `test.txt`; returns the folder.

    Pictures are PNG files. Volumes are NIfTI files, and their label maps lie in `labels/`. The folder appears under its
    name only when it is complete; several processes may ask for it at once.

    Args:
        kind: a key of `PHANTOMS` or `VOLUME_PHANTOMS`.
        folder: where to write; must not exist, be empty, or hold the same set, which is then used.
        count: number of pictures or volumes, at least 2; the last fifth is the test set.
        seed: another seed gives another set. The first pictures of a longer set are those of a shorter one.
        size: (H, W) in pixels or (X, Y, Z) in voxels; `None` for the size of the kind.

    Raises:
        ValueError: The kind is unknown, or `count` is below 2.
        InputError: The folder holds something else.
    """
    if kind not in PHANTOMS | VOLUME_PHANTOMS:
        raise ValueError(f"There is no phantom named {kind}; choose one of {', '.join(PHANTOMS | VOLUME_PHANTOMS)}.")
    if count < 2:
        raise ValueError(f"A set of phantoms needs at least 2 pictures, got count {count}.")
    folder = Path(folder)
    shape = list(size) if size else None
    description = {"kind": kind, "count": count, "seed": seed, "size": shape, "version": _VERSION}
    if _is_free(folder, description):
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}")
        try:
            _write_set(temporary, kind, count, seed, size)
            (temporary / _DESCRIPTION).write_text(json.dumps(description, indent=2) + "\n")
            os.replace(temporary, folder)
        except OSError:
            # another process may have been faster; its set is as good if it is the same one
            if _is_free(folder, description):
                raise
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    return folder


def _is_free(folder: Path, description: dict[str, Any]) -> bool:
    """Whether the set has to be written: false if it is there, an error if something else is."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return True
    try:
        same = json.loads((folder / _DESCRIPTION).read_text()) == description
    except (OSError, ValueError):
        same = False
    if not same:
        raise InputError(
            f"{folder} holds something else than the phantoms asked for: remove it or choose another folder."
        )
    return False


def _write_set(folder: Path, kind: str, count: int, seed: int, size: Any) -> None:
    stems = [f"{kind}_{index:05}" for index in range(count)]
    images, labels = folder / "images", folder / ("masks" if kind in PHANTOMS else "labels")
    for subfolder in (images, labels):
        subfolder.mkdir(parents=True)
    for index, stem in enumerate(stems):
        if kind in PHANTOMS:
            for subfolder, pixels in zip((images, labels), PHANTOMS[kind](index, size, seed), strict=True):
                Image.fromarray(pixels).save(subfolder / f"{stem}.png")
        else:
            units, label_map, affine = VOLUME_PHANTOMS[kind](index, size, seed)
            for subfolder, voxels in ((images, units), (labels, label_map)):
                nibabel.save(nibabel.Nifti1Image(voxels, affine), subfolder / f"{stem}.nii.gz")
    first_test = count - max(round(count * _TEST_SHARE), 1)
    for name, part in (("train.txt", stems[:first_test]), ("test.txt", stems[first_test:])):
        (folder / name).write_text("\n".join(part) + "\n")
