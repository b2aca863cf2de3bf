"""The start of every run of a bundle."""

import os

from medseg.phantoms import write_phantoms

__all__ = ["resolve_dataset_dir"]


def resolve_dataset_dir(
    dataset_dir: str | os.PathLike[str] | None, kind: str, folder: str | os.PathLike[str], count: int, seed: int
) -> str:
    """`dataset_dir` itself, or, without one, a folder of generated pictures or volumes and their masks.

    Args:
        dataset_dir: the user's folder, or None.
        kind: a key of `medseg.phantoms.PHANTOMS` or `VOLUME_PHANTOMS`.
        folder: where the phantoms go; reused if the same ones are there already.
        count: number of phantoms.
        seed: the same seed gives the same phantoms.
    """
    return str(write_phantoms(kind, folder, count, seed)) if dataset_dir is None else str(dataset_dir)
