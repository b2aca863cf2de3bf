"""Checks of files and folders before the first step."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryFile

from torch import nn

from medseg.bundle.distributed import is_restarted
from medseg.data.input_types import detect_input_type
from medseg.errors import InputError
from medseg.networks.checkpoints.load import check_fit
from medseg.networks.checkpoints.read import read_state_dict
from medseg.networks.checkpoints.recognize import convert_file


def check_bundle_root(bundle_root: str | os.PathLike[str]) -> None:
    """Raise an `InputError` unless `bundle_root` is the folder of a bundle."""
    if not (Path(bundle_root) / "configs" / "metadata.json").is_file():
        raise InputError(
            f"bundle_root '{bundle_root}' is not a bundle's folder (it has no configs/metadata.json): "
            "start from that folder or pass --bundle_root PATH."
        )


def check_weights(network: nn.Module, checkpoint: str | os.PathLike[str]) -> None:
    """Raise an `InputError` unless `checkpoint` is a readable weight file that fits `network` exactly."""
    if not Path(checkpoint).is_file():
        raise InputError(
            f"There is no weight file '{checkpoint}': if none are included for this network, train it, convert "
            "published weights (`python -m medseg convert`), or pass others with --weights (MONAI: --checkpoint)."
        )
    try:
        check_fit(network, read_state_dict(checkpoint), source=f"the weights in '{checkpoint}'")
    except InputError as error:
        raise InputError(f"{error}{_options_for(checkpoint)}") from error


def _options_for(checkpoint: str | os.PathLike[str]) -> str:
    """The end of a message: the network that the weights are of, and how to choose it; empty if it is not known."""
    try:
        arguments = convert_file(checkpoint)[1].arguments
    except InputError:
        return ""
    if "decoder" not in arguments:
        return f" The file holds the encoder {arguments['encoder']} alone: train from it with --pretrained."
    names = ("encoder", "decoder", "decoder_channels", "out_channels")
    return (
        f" The file holds {', '.join(f'{name} {arguments[name]}' for name in names)}: pass these (--set encoder=...)."
    )


def check_input(path: str | os.PathLike[str] | None, kind: str) -> None:
    """Raise an `InputError` if the user's files are not there or are of another kind.

    Args:
        path: file or folder; None, for generated ones, is let pass.
        kind: what the config takes, `pictures` or `volumes`.
    """
    if path is None:
        return
    if not Path(path).exists():
        raise InputError(f"The input '{path}' does not exist: check the path.")
    found = detect_input_type(path)
    if found and kind not in found:
        raise InputError(f"The input '{path}' holds {found.pop()}, this config takes {kind}: choose another bundle.")


def check_output_dir(
    items: Sequence[Mapping[str, str]],
    output_dir: str | os.PathLike[str],
    source: str | os.PathLike[str] | None = None,
    key: str = "image",
) -> None:
    """Raise an `InputError` if results cannot be written, or would be taken for inputs or overwrite them.

    Args:
        items: what is going to be segmented.
        output_dir: where the results go; made when missing.
        source: the folder that the user gave, which results must stay out of; a file, or None, says nothing.
        key: key of the input file in an item.
    """
    target = Path(output_dir).resolve()
    if target.exists() and not target.is_dir():
        raise InputError(f"output_dir '{output_dir}' is a file: choose another name for the results.")
    beside = [item[key] for item in items if Path(item[key]).resolve().parent == target]
    if beside:
        raise InputError(
            f"output_dir '{output_dir}' holds '{Path(beside[0]).name}', which its own mask could overwrite: "
            "choose another folder for the results."
        )
    if source is not None and Path(source).is_dir() and target.is_relative_to(Path(source).resolve()):
        raise InputError(
            f"output_dir '{output_dir}' lies in the input folder '{source}', whose next run would take results for "
            "inputs: choose a folder outside."
        )
    try:
        target.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=target):
            pass
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"output_dir '{output_dir}' cannot be written into ({reason}): choose another.") from error


def check_new_run(ckpt_dir: str | os.PathLike[str], overwrite: bool) -> None:
    """Raise an `InputError` if a training run would replace the weights of another one.

    Args:
        ckpt_dir: where the run is going to save its weights.
        overwrite: whether it may replace some.
    """
    found = [name for name in ("model.pt", "checkpoint.pt") if (Path(ckpt_dir) / name).is_file()]
    if found and not overwrite and not is_restarted():
        raise InputError(
            f"ckpt_dir '{ckpt_dir}' holds {' and '.join(found)} of another run: pass --ckpt_dir or --output_dir with "
            "another folder, add configs/resume.yaml to go on with that run, or pass --overwrite True."
        )


def check_file(path: str | os.PathLike[str], what: str) -> None:
    """Raise an `InputError` unless there is a file at `path`."""
    if not Path(path).is_file():
        raise InputError(f"There is no {what} '{path}': check the path, or run what writes it first.")
