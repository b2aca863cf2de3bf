"""The embedded default data: pictures and volumes drawn from random numbers, for a first run without a download."""

import json
import os
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import nibabel
import numpy as np
from monai.config import PathLike
from PIL import Image

from medseg.errors import InputError
from medseg.phantoms.lesion import lesion_phantom
from medseg.phantoms.lung import lung_phantom
from medseg.phantoms.lung_volume import VolumePhantom, lung_volume_phantom
from medseg.phantoms.polyp import polyp_phantom

__all__ = [
    "PHANTOMS",
    "VOLUME_PHANTOMS",
    "VolumePhantom",
    "lesion_phantom",
    "lung_phantom",
    "lung_volume_phantom",
    "polyp_phantom",
    "write_phantoms",
]

_Phantom = Callable[[int, tuple[int, int] | None, int], tuple[np.ndarray, np.ndarray]]
_Volume = Callable[[int, tuple[int, ...] | None, int], VolumePhantom]

#: Generators by kind: ``(index, size, seed)`` -> picture ``(H, W, 3)`` and mask ``(H, W)`` of 0 and 255.
PHANTOMS: dict[str, _Phantom] = {"polyp": polyp_phantom, "lesion": lesion_phantom, "lung": lung_phantom}

#: Generators of volumes by kind: ``(index, size, seed)`` -> volume, label map and affine.
VOLUME_PHANTOMS: dict[str, _Volume] = {"lung_volume": lung_volume_phantom}

# part of a set's description: raise it when a generator draws other pictures, so that old sets are not reused
_VERSION = 1
_DESCRIPTION = "phantoms.json"
_TEST_SHARE = 0.2


class _Kind(NamedTuple):
    """How a kind of phantoms is made and written."""

    draw: Callable[..., Any]
    label_folder: str
    save: Callable[..., None]


def write_phantoms(kind: str, folder: PathLike, count: int, seed: int, size: tuple[int, ...] | None = None) -> Path:
    """Write a set of phantoms as a dataset folder: ``images/``, ``masks/``, ``train.txt`` and ``test.txt``.

    Pictures are PNG files. Volumes are NIfTI files, and their label maps lie in ``labels/``.

    The folder appears as a whole, under its name only when it is complete. If it holds the same set already,
    that is used; several processes may ask for it at once.

    Args:
        kind: one of :data:`PHANTOMS` or :data:`VOLUME_PHANTOMS`.
        folder: where to write; must not exist, be empty, or hold the same set.
        count: number of pictures or volumes, at least 2; the last fifth is the test set.
        seed: another seed gives another set. The first pictures of a longer set are those of a shorter one.
        size: (H, W) in pixels or (X, Y, Z) in voxels; ``None`` for what the kind has of its own.

    Returns:
        the folder.

    Raises:
        ValueError: unknown kind, or ``count`` below 2.
        InputError: the folder holds something else.
    """
    kinds = {name: _Kind(draw, "masks", _save_pictures) for name, draw in PHANTOMS.items()}
    kinds |= {name: _Kind(draw, "labels", _save_volumes) for name, draw in VOLUME_PHANTOMS.items()}
    if kind not in kinds:
        raise ValueError(f"There is no phantom named {kind}; choose one of {', '.join(kinds)}.")
    if count < 2:
        raise ValueError(f"A set of phantoms needs at least 2 pictures, got count {count}.")
    folder = Path(folder)
    description = {
        "kind": kind,
        "count": count,
        "seed": seed,
        "size": list(size) if size else None,
        "version": _VERSION,
    }
    if _is_free(folder, description):
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}")
        try:
            _write_set(kinds[kind], temporary, description, size)
            _move(temporary, folder, description)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    return folder


def _is_free(folder: Path, description: dict) -> bool:
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


def _write_set(kind: _Kind, folder: Path, description: dict, size: tuple[int, ...] | None) -> None:
    for name in ("images", kind.label_folder):
        (folder / name).mkdir(parents=True)
    stems = [f"{description['kind']}_{index:05}" for index in range(description["count"])]
    for index, stem in enumerate(stems):
        drawn = kind.draw(index, size, description["seed"])
        kind.save(folder / "images" / stem, folder / kind.label_folder / stem, *drawn)
    first_test = len(stems) - max(round(len(stems) * _TEST_SHARE), 1)
    for name, part in (("train.txt", stems[:first_test]), ("test.txt", stems[first_test:])):
        (folder / name).write_text("\n".join(part) + "\n")
    (folder / _DESCRIPTION).write_text(json.dumps(description, indent=2) + "\n")


def _save_pictures(image: Path, label: Path, picture: np.ndarray, mask: np.ndarray) -> None:
    Image.fromarray(picture).save(f"{image}.png")
    Image.fromarray(mask).save(f"{label}.png")


def _save_volumes(image: Path, label: Path, units: np.ndarray, labels: np.ndarray, affine: np.ndarray) -> None:
    nibabel.save(nibabel.Nifti1Image(units, affine), f"{image}.nii.gz")
    nibabel.save(nibabel.Nifti1Image(labels, affine), f"{label}.nii.gz")


def _move(temporary: Path, folder: Path, description: dict) -> None:
    try:
        os.replace(temporary, folder)
    except OSError:
        # another process was faster; its set is as good if it is the same one
        if _is_free(folder, description):
            raise
