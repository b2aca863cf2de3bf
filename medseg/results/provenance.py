"""Where a number comes from: versions, weights, command."""

import json
import re
import shlex
import sys
from pathlib import Path
from typing import Any

import monai
import torch

import medseg
from medseg.files import file_sha256

_PASSWORD = re.compile(r"(?<=://)[^/\s@]+@")


def run_provenance(
    metadata: dict[str, Any], weights: str | Path | None, seed: int | None, device: str | torch.device | None
) -> dict[str, Any]:
    """What all cases of a run have in common, as in the schema of the records.

    Args:
        metadata: the bundle's, see :py:func:`read_metadata`.
        weights: the weight file; None for a network that is fitted to each image.
        seed: of the run; None if it is not known.
        device: where the network runs; None if it is not known.

    Raises:
        OSError: if the weight file cannot be read.
    """
    return {
        "bundle": metadata["name"],
        "bundle_version": metadata["version"],
        "medseg_version": medseg.__version__,
        "monai_version": monai.__version__,
        "torch_version": torch.__version__,
        "weights": Path(weights).name if weights else None,
        "weights_sha256": file_sha256(weights) if weights else None,
        "command": command_line(),
        "seed": seed,
        "device": None if device is None else _device_name(torch.device(device)),
    }


def read_metadata(bundle_root: str | Path) -> dict[str, Any]:
    """The metadata.json of the bundle in the folder `bundle_root`."""
    return json.loads((Path(bundle_root) / "configs" / "metadata.json").read_text(encoding="utf-8"))


def command_line() -> str:
    """The command of this process, quoted for a shell. User names and passwords in addresses become `***`."""
    program, *arguments = sys.orig_argv
    return _PASSWORD.sub("***@", shlex.join([Path(program).name, *arguments]))


def _device_name(device: torch.device) -> str:
    return f"{device} ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else str(device)
