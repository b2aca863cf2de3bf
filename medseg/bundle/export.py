"""A zip of a bundle with its network as PyTorch, TorchScript and ONNX, checked to give the same logits."""

import contextlib
import json
import re
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
import yaml
from monai.bundle import ConfigParser, ckpt_export, onnx_export
from torch import nn
from torch.nn.functional import interpolate

from medseg.bundle.checks import check_bundle_root, check_weights
from medseg.bundle.model_facts import ModelFacts
from medseg.bundle.overrides import literal
from medseg.bundle.settings import check_settings
from medseg.data.pictures import decode_picture
from medseg.errors import InputError, missing_packages
from medseg.files import atomic_write
from medseg.networks.checkpoints.read import read_facts, read_state_dict
from medseg.phantoms.polyp import polyp_phantom

SIZES = ((2, 352, 352), (1, 480, 640))
"""Batch size, height and width of the inputs that every exported network is compared on."""
LIMIT = 1e-4
"""Greatest difference that passes, for logits up to 10; in proportion beyond."""

_PARTS = ("LICENSE", "configs", "docs")  # what a copy takes besides models/
_ONNX_PACKAGES = ("onnx", "onnxscript", "onnxruntime")
_EXAMPLE_SIZE = (2, 352, 480)  # the exporter takes a size of 1, and sizes that are equal, for fixed ones
_FREE_AXES = {0: "batch", 2: "height", 3: "width"}


@dataclass(frozen=True)
class Difference:
    """How far an exported network is from the PyTorch one.

    Attributes:
        file: name of the exported file.
        size: batch size, height and width of the input.
        difference: greatest absolute difference of the logits.
        magnitude: greatest absolute logit of the PyTorch network.
    """

    file: str
    size: tuple[int, int, int]
    difference: float
    magnitude: float

    @property
    def passes(self) -> bool:
        """Whether the difference is within `LIMIT`; a NaN is not."""
        return self.difference <= LIMIT * max(1.0, self.magnitude / 10)


def export_bundle(
    bundle_dir: Path,
    target: Path,
    weights: Path | None = None,
    values: Mapping[str, Any] | None = None,
    onnx: bool = True,
    picture: Path | None = None,
) -> list[Difference]:
    """Export a bundle's network with MONAI's own commands, compare, and zip the bundle with it.

    The bundle's folder is only read. The zip holds one folder of the bundle's name, as `monai.bundle.download` and
    `load` expect, and is written whole or not at all.

    Args:
        bundle_dir: folder of the bundle; its `inference.yaml` defines the network as `network_def`.
        target: the zip to write; an existing file is replaced.
        weights: weights of the network; None for the bundle's `models/model.pt`.
        values: id -> value that the network was trained with where the weight file does not say it; with those that it
            says, written into the zip's `inference.yaml` and `train.yaml`.
        onnx: whether to make `model.onnx`; needs the packages of the extra `export`.
        picture: picture to compare the networks on; None for a generated one.

    Returns:
        The differences between the exported networks and the PyTorch one, all within `LIMIT`.

    Raises:
        InputError: if there is no weight file, the folder is no bundle or has no feed-forward network, a value is
            unknown, the weights do not fit, the picture cannot be read, a package is missing, ONNX cannot hold the
            network, or the results differ.
    """
    bundle_dir = bundle_dir.resolve()
    check_bundle_root(bundle_dir)
    missing = [name for name in _ONNX_PACKAGES if find_spec(name) is None] if onnx else []
    if missing:
        raise missing_packages("model.onnx", " ".join(missing), "pass --no-onnx")
    weights = weights or bundle_dir / "models" / "model.pt"
    with tempfile.TemporaryDirectory() as temporary:
        staged = Path(temporary) / bundle_dir.name
        # model.ts takes the configs to places where the weights cannot be asked
        copy_bundle(bundle_dir, staged, trained_values(bundle_dir, weights, values or {}))
        network = _load_network(staged, weights)
        with contextlib.redirect_stdout(sys.stderr):  # the exporters print, and are not what the command reports
            _convert(staged, onnx)
        differences = _compare(staged, network, picture)
        bad = next((found for found in differences if not found.passes), None)
        if bad:
            raise InputError(
                f"{bad.file} differs from the PyTorch network by {bad.difference:.1e} in its logits at {bad.size[1]} x "
                f"{bad.size[2]}, nothing was written: try other versions of torch and onnxruntime, or --no-onnx if it "
                "is model.onnx."
            )
        with atomic_write(target) as partial, zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(path for path in staged.rglob("*") if path.is_file()):
                archive.write(path, path.relative_to(staged.parent))
    return differences


def set_values(config: Path, values: Mapping[str, Any]) -> None:
    """Change values of a YAML config in place; the rest, comments included, stays as it is.

    Args:
        config: the file.
        values: id -> value; an id of the top level whose value is on the same line, or one below a component
            (`network_def::decoder_options`).

    Raises:
        InputError: if the file has no such id, or its value is not on the id's line.
    """
    text = config.read_text()
    known = _parser(config)
    for name, value in values.items():
        # as the one item of a list it stands on one line, and 1e-05 as 1.0e-05, which YAML reads as a number
        line = f"{name}: {yaml.safe_dump([literal(value)], default_flow_style=True, width=float('inf')).strip()[1:-1]}"
        parent = name.rpartition("::")[0]
        if parent and parent in known:
            text = f"{text.rstrip()}\n{line}\n"
            continue
        found = re.search(rf"^{re.escape(name)}:[ \t]+[^#\s].*?(?=[ \t]+#|[ \t]*$)", text, flags=re.MULTILINE)
        if found is None:
            raise InputError(f"'{name}' is not a value in the first block of '{config.name}': look there for its name.")
        text = text[: found.start()] + line + text[found.end() :]
    config.write_text(text)


def trained_values(
    bundle_dir: Path, weights: Path, values: Mapping[str, Any], said_only: bool = False
) -> dict[str, Any]:
    """The values that a network was trained with: `values`, else what its weight file says, else the config's defaults.

    Args:
        bundle_dir: folder of the bundle.
        weights: weight file of the network.
        values: id -> value, as the user gave them.
        said_only: leave the config's defaults out.

    Raises:
        InputError: if a value differs from what the file says, or the file cannot be read.
    """
    arguments = _parser(bundle_dir / "configs" / "inference.yaml").get("facts")
    if arguments is None:
        return dict(values)
    facts = ModelFacts(weights, arguments["defaults"], arguments.get("absent"))
    facts.check(values)
    return {**(facts.said if said_only else facts.values), **values}


def copy_bundle(bundle_dir: Path, target: Path, values: Mapping[str, Any]) -> None:
    """Copy a bundle, without weights and results, and change values of the copy's configs.

    Args:
        bundle_dir: folder of the bundle.
        target: folder of the copy; files of an earlier copy are replaced.
        values: id -> value, written into `inference.yaml` and `train.yaml`, whichever has the id.

    Raises:
        InputError: as `set_values`, for an id that neither file has; or a value is not allowed.
    """
    check_settings(bundle_dir, values)
    (target / "models").mkdir(parents=True, exist_ok=True)
    for source in (bundle_dir / part for part in _PARTS):
        if source.is_dir():
            shutil.copytree(source, target / source.name, dirs_exist_ok=True)
        elif source.is_file():
            shutil.copy2(source, target)
    for name, value in values.items():
        _set_in_configs(target / "configs", name.replace("#", "::"), value)


def _set_in_configs(configs: Path, name: str, value: Any) -> None:
    files = [configs / "inference.yaml", configs / "train.yaml"]
    if name == "image_size":  # the metadata give it, too
        config = _parser(files[0])
        default = config.get("facts::absent::image_size", config.get("facts::defaults::image_size", config.get(name)))
        metadata = json.loads((configs / "metadata.json").read_text())
        formats = metadata["network_data_format"]
        for tensor in (*formats["inputs"].values(), *formats["outputs"].values()):
            tensor["spatial_shape"] = [value if size == default else size for size in tensor["spatial_shape"]]
        (configs / "metadata.json").write_text(json.dumps(metadata, indent=2, ensure_ascii=False) + "\n")
    if name == "classes":  # the metadata name them, too
        metadata = json.loads((configs / "metadata.json").read_text())
        metadata["network_data_format"]["outputs"]["pred"] |= {
            "num_channels": 1 if len(value) == 2 else len(value),
            "channel_def": {str(number): label for number, label in enumerate(value)},
        }
        (configs / "metadata.json").write_text(json.dumps(metadata, indent=2, ensure_ascii=False) + "\n")
    for file in [file for file in files if file.is_file() and name.split("::")[0] in _parser(file)] or files[:1]:
        set_values(file, {name: value})


def _parser(file: Path) -> ConfigParser:
    # not `load_config_file`, which leaves ids such as `network_def::decoder_options` where nothing finds them
    return ConfigParser(ConfigParser.load_config_files(str(file)))


def _load_network(staged: Path, weights: Path) -> nn.Module:
    """The network of the staged config with `weights`, which are saved as the copy's `model.pt` with their facts."""
    parser = _parser(staged / "configs" / "inference.yaml")
    if parser.get("inferer::_target_") == "medseg.inferers.SelfClusteringInferer":
        raise InputError(f"'{staged.name}' fits its network to each image: there is no trained network to export.")
    try:
        network: nn.Module = parser.get_parsed_content("network_def")
    except RuntimeError as error:
        raise InputError(f"network_def of '{staged.name}' cannot be built: {error.__cause__ or error}") from error
    check_weights(network, weights)
    network.load_state_dict(read_state_dict(weights))
    state_dict = network.state_dict()  # in the network's own type
    state_dict.medseg = read_facts(weights)  # type: ignore[attr-defined]
    torch.save(state_dict, staged / "models" / "model.pt")
    return network.eval()


def _convert(staged: Path, onnx: bool) -> None:
    """Write `model.ts` and, if wanted, `model.onnx` beside the copy's `model.pt`."""
    models = staged / "models"
    common: dict[str, Any] = {
        "net_id": "network_def",
        "ckpt_file": str(models / "model.pt"),
        "config_file": str(staged / "configs" / "inference.yaml"),
        "meta_file": str(staged / "configs" / "metadata.json"),
    }
    ckpt_export(filepath=str(models / "model.ts"), **common)
    if not onnx:
        return
    images, height, width = _EXAMPLE_SIZE
    with tempfile.TemporaryDirectory() as temporary:
        # `filename`: PyTorch writes the weights beside the file it is given, and MONAI's own choice is never deleted
        names = {"input_names": ["image"], "output_names": ["pred"], "filename": f"{temporary}/network.onnx"}
        try:
            onnx_export(
                filepath=str(models / "model.onnx"),
                input_shape=(images, _channels(staged), height, width),
                converter_kwargs={**names, "dynamic_axes": {"image": _FREE_AXES, "pred": _FREE_AXES}},
                **common,
            )
        except torch.onnx.errors.OnnxExporterError as error:
            raise InputError(f"The network of '{staged.name}' cannot be put into ONNX: pass --no-onnx.") from error


def _channels(staged: Path) -> int:
    metadata = json.loads((staged / "configs" / "metadata.json").read_text())
    return int(metadata["network_data_format"]["inputs"]["image"]["num_channels"])


def _compare(staged: Path, network: nn.Module, picture: Path | None) -> list[Difference]:
    models = staged / "models"
    exported: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {"model.ts": torch.jit.load(models / "model.ts")}
    if (models / "model.onnx").is_file():
        exported["model.onnx"] = _onnx_network(models / "model.onnx")
    pixels = polyp_phantom(0, size=(480, 640), seed=0)[0] if picture is None else decode_picture(picture)
    tensor = torch.tensor(pixels, dtype=torch.float32).permute(2, 0, 1)[[i % 3 for i in range(_channels(staged))]]
    differences = []
    for size in SIZES:
        image = interpolate(tensor[None], size[1:], mode="bilinear", antialias=True) / 63.75 - 2  # about -2 to 2
        batch = torch.cat([image.flip(3) if i % 2 else image for i in range(size[0])])
        with torch.no_grad():
            wanted = network(batch)
            for file, run in exported.items():
                given = run(batch).reshape(wanted.shape)  # tensors of other shapes must not be broadcast
                difference, magnitude = (given - wanted).abs().max(), wanted.abs().max()
                differences.append(Difference(file, size, float(difference), float(magnitude)))
    return differences


def _onnx_network(path: Path) -> Callable[[torch.Tensor], torch.Tensor]:
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda image: torch.from_numpy(session.run(["pred"], {"image": image.numpy()})[0])
