"""The start of every run of a bundle."""

import os
from pathlib import Path

from monai.utils import set_determinism

from medseg.bundle.checks import check_bundle_root
from medseg.bundle.distributed import init_distributed
from medseg.bundle.overrides import check_command_line
from medseg.bundle.user_errors import install_user_error_hook
from medseg.networks.checkpoints.hub import IMAGENET
from medseg.phantoms import write_phantoms


def initialize(bundle_root: str | os.PathLike[str], seed: int | None) -> None:
    """What every config does before anything else; calling it twice is harmless.

    From here on a user's mistake is told in one sentence. The bundle's folder and the overrides on the command line
    are checked, the process group is joined where torchrun started this process, and the random numbers are seeded.

    Args:
        bundle_root: folder of the bundle.
        seed: of Python, NumPy and PyTorch; None leaves them random.

    Raises:
        InputError: `bundle_root` is not a bundle, or the config has no id of an override's name or does not allow its
            value.
    """
    install_user_error_hook()
    check_bundle_root(bundle_root)
    check_command_line(bundle_root)
    init_distributed()
    set_determinism(seed=seed)


def resolve_dataset_dir(
    dataset_dir: str | os.PathLike[str] | None, kind: str, folder: str | os.PathLike[str] | None, count: int, seed: int
) -> str:
    """`dataset_dir` itself or, where it is None, a folder of generated pictures or volumes and their masks.

    Args:
        dataset_dir: the user's folder, or None.
        kind: a key of `medseg.phantoms.PHANTOMS` or `VOLUME_PHANTOMS`.
        folder: where the phantoms go; reused if the same ones are there already. Nothing where nobody needs
            them: the result is an empty text.
        count: number of phantoms.
        seed: the same seed gives the same phantoms.
    """
    if dataset_dir is not None or not folder:
        return str(dataset_dir or "")
    return str(write_phantoms(kind, folder, count, seed))


def starting_weights(
    pretrained: str | os.PathLike[str] | None, dataset_dir: str | os.PathLike[str] | None
) -> str | os.PathLike[str] | None:
    """What `SSFormer` takes as `pretrained`: None for random weights, also instead of ImageNet's for phantoms.

    Args:
        pretrained: as the user gave it; a command line passes `null` and `none` on as text.
        dataset_dir: the user's images; None for phantoms, on which nothing is to depend on a network connection.
    """
    if pretrained is None or str(pretrained).lower() in ("null", "none"):
        return None
    return None if dataset_dir is None and str(pretrained) == IMAGENET else pretrained


def trained_dir(output_dir: str | os.PathLike[str], bundle_root: str | os.PathLike[str]) -> str:
    """The folder of the weights to evaluate: `output_dir/models`, where training wrote them, else the bundle's own."""
    own = Path(output_dir) / "models"
    return str(own if (own / "model.pt").is_file() else Path(bundle_root) / "models")
