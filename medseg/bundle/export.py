"""One zip of a bundle with its network as PyTorch, TorchScript, ONNX and TensorRT, checked to give the same numbers."""

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

import numpy as np
import torch
import torch.nn.functional as F
import yaml
from monai.bundle import ConfigParser, ckpt_export, onnx_export, trt_export
from torch import nn

from medseg.bundle.checks import check_bundle_root
from medseg.data.pictures import decode_picture
from medseg.errors import InputError
from medseg.files import atomic_write
from medseg.inferers.self_clustering import SelfClusteringInferer
from medseg.networks.checkpoints.load import check_fit
from medseg.networks.checkpoints.read import read_state_dict
from medseg.phantoms.polyp import polyp_phantom
from medseg.tensorrt import load_tensorrt, tensorrt_problem

__all__ = ["LIMIT", "SIZES", "TENSORRT_LIMIT", "Difference", "copy_bundle", "export_bundle", "set_values"]

SIZES = ((2, 352, 352), (1, 480, 640))
"""Images, height and width of the inputs that every exported network is compared on."""
LIMIT = 1e-4
"""Greatest difference that passes, for logits up to 10; in proportion beyond."""
TENSORRT_LIMIT = 1e-2
"""The same for TensorRT, which fuses and reorders the network's sums."""

_PARTS = ("LICENSE", "configs", "docs")  # what a zip takes besides models/
_ONNX_PACKAGES = ("onnx", "onnxscript", "onnxruntime")
_EXAMPLE_SIZE = (2, 352, 480)  # the exporter takes a size of 1, and sizes that are equal, for fixed ones
_TENSORRT_BATCHES = [1, 1, 8]  # least, usual and greatest number of images at once
_AXES = {0: "batch", 2: "height", 3: "width"}


@dataclass(frozen=True)
class Difference:
    """How far an exported network is from the PyTorch one.

    Attributes:
        file: name of the exported file.
        size: images, height and width of the input.
        difference: greatest absolute difference of the logits.
        magnitude: greatest absolute logit of the PyTorch network.
    """

    file: str
    size: tuple[int, int, int]
    difference: float
    magnitude: float

    @property
    def passes(self) -> bool:
        """Whether the difference is within `LIMIT`, or `TENSORRT_LIMIT`; a NaN is not."""
        limit = TENSORRT_LIMIT if self.file == "model_trt.ts" else LIMIT
        return self.difference <= limit * max(1.0, self.magnitude / 10)


def export_bundle(
    bundle_dir: Path,
    target: Path,
    weights: Path | None = None,
    values: Mapping[str, Any] | None = None,
    onnx: bool = True,
    picture: Path | None = None,
    tensorrt: bool = True,
) -> list[Difference]:
    """Export a bundle's network by MONAI's own commands, compare, and zip the bundle with it.

    The bundle's folder is only read. The zip holds one folder of the bundle's name, as `monai.bundle.download` and
    `load` expect, and appears whole or not at all.

    Args:
        bundle_dir: folder of the bundle; its `inference.yaml` defines the network as `network_def`.
        target: the zip to write; one that exists is replaced.
        weights: weights of the network; None for the bundle's `models/model.pt`.
        values: id -> value, written into the zip's `inference.yaml` and `train.yaml`: what the network was trained
            with in place of the configs' defaults.
        onnx: whether to make `model.onnx`; needs the packages of the extra `export`.
        picture: picture to compare the networks on; None for a generated one.
        tensorrt: whether to make `model_trt.ts` where there are a GPU and torch_tensorrt; it takes one height and
            width, those that the metadata name.

    Returns:
        the differences between the exported networks and the PyTorch one, all within `LIMIT`.

    Raises:
        FileNotFoundError: if there is no weight file or no picture.
        InputError: if the folder is no bundle or has no feed-forward network, a value is unknown, the weights do not
            fit, a package is missing, ONNX or TensorRT cannot hold the network, or the results differ.
    """
    bundle_dir = bundle_dir.resolve()
    check_bundle_root(bundle_dir)
    missing = [name for name in _ONNX_PACKAGES if find_spec(name) is None] if onnx else []
    if missing:
        raise InputError(f"model.onnx needs {', '.join(missing)}: `pip install medseg[export]`, or pass --no-onnx.")
    with tempfile.TemporaryDirectory() as temporary:
        staged = Path(temporary) / bundle_dir.name
        copy_bundle(bundle_dir, staged, values or {})
        network = _load_network(staged, weights or bundle_dir / "models" / "model.pt")
        with contextlib.redirect_stdout(sys.stderr):  # what the exporters tell is not part of the account
            _convert(staged, onnx, tensorrt and tensorrt_problem() is None)
        differences = _compare(staged, network, picture)
        bad = [found for found in differences if not found.passes]
        if bad:
            raise InputError(
                f"{bad[0].file} differs from the PyTorch network by {bad[0].difference:.1e} in its logits at "
                f"{bad[0].size[1]} x {bad[0].size[2]}, nothing was written: try other versions of "
                "torch and onnxruntime, or --no-onnx if it is model.onnx, --no-tensorrt if it is model_trt.ts."
            )
        _write_zip(staged, target)
    return differences


def set_values(config: Path, values: Mapping[str, Any]) -> None:
    """Change values of a YAML config in place and leave the rest as it is, comments included.

    Args:
        config: the file.
        values: id -> value; an id of the top level whose value stands on its own line, or one below a component
            (`network_def::decoder_options`).

    Raises:
        InputError: if the file has no such id, or its value does not stand on the id's line.
    """
    text = config.read_text()
    known = ConfigParser(ConfigParser.load_config_files(str(config)))
    for name, value in values.items():
        # as the one item of a list it stands on one line, and 1e-05 as 1.0e-05, which YAML reads as a number
        line = f"{name}: {yaml.safe_dump([value], default_flow_style=True, width=float('inf')).strip()[1:-1]}"
        parent = name.rpartition("::")[0]
        if parent and parent in known:
            text = f"{text.rstrip()}\n{line}\n"
            continue
        found = re.search(rf"^{re.escape(name)}:[ \t]+[^#\s].*?(?=[ \t]+#|[ \t]*$)", text, flags=re.MULTILINE)
        if found is None:
            raise InputError(f"'{name}' is not a value in the first block of '{config.name}': look there for its name.")
        text = text[: found.start()] + line + text[found.end() :]
    config.write_text(text)


def copy_bundle(bundle_dir: Path, target: Path, values: Mapping[str, Any]) -> None:
    """Copy what a bundle is made of, without weights and results, into a folder, and change values of its configs.

    Args:
        bundle_dir: folder of the bundle.
        target: folder of the copy; files of an earlier copy are replaced.
        values: id -> value for `inference.yaml` and `train.yaml`, for each those that it has.

    Raises:
        InputError: as `set_values`, for a value that neither has.
    """
    for part in _PARTS:
        source = bundle_dir / part
        if source.is_dir():
            shutil.copytree(source, target / part, dirs_exist_ok=True)
        elif source.is_file():
            target.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target / part)
    (target / "models").mkdir(exist_ok=True)
    values = {name.replace("#", "::"): value for name, value in values.items()}
    if "image_size" in values:
        _set_spatial_shape(target / "configs", values["image_size"])
    files = [target / "configs" / file for file in ("inference.yaml", "train.yaml")]
    known = {file: ConfigParser(ConfigParser.load_config_files(str(file))) for file in files if file.is_file()}
    top = {name: name.split("::")[0] for name in values}
    unknown = {name for name in values if not any(top[name] in config for config in known.values())}
    for file, config in known.items():
        set_values(file, {name: value for name, value in values.items() if top[name] in config or name in unknown})


def _set_spatial_shape(configs: Path, image_size: int) -> None:
    """Let the metadata name `image_size` where they name the one of the config."""
    default = ConfigParser.load_config_file(configs / "inference.yaml").get("image_size")
    metadata = json.loads((configs / "metadata.json").read_text())
    formats = metadata["network_data_format"]
    for tensor in (*formats["inputs"].values(), *formats["outputs"].values()):
        tensor["spatial_shape"] = [image_size if size == default else size for size in tensor["spatial_shape"]]
    (configs / "metadata.json").write_text(json.dumps(metadata, indent=2, ensure_ascii=False) + "\n")


def _load_network(staged: Path, weights: Path) -> nn.Module:
    """The network of the staged config with `weights`, which are put beside it as plain tensors."""
    parser = ConfigParser(ConfigParser.load_config_files(str(staged / "configs" / "inference.yaml")))
    if (parser.get("inferer") or {}).get("_target_") == f"medseg.inferers.{SelfClusteringInferer.__name__}":
        raise InputError(f"'{staged.name}' fits its network to each image: there is no trained network to export.")
    try:
        network = parser.get_parsed_content("network_def")
    except RuntimeError as error:
        raise InputError(f"network_def of '{staged.name}' cannot be built: {error.__cause__ or error}") from error
    state_dict = read_state_dict(weights)
    check_fit(network, state_dict, source=f"the weights in '{weights}'")
    network.load_state_dict(state_dict)
    torch.save(state_dict, staged / "models" / "model.pt")
    return network.eval()


def _convert(staged: Path, onnx: bool, tensorrt: bool) -> None:
    models = staged / "models"
    common: dict[str, Any] = {
        "net_id": "network_def",
        "ckpt_file": str(models / "model.pt"),
        "config_file": str(staged / "configs" / "inference.yaml"),
        "meta_file": str(staged / "configs" / "metadata.json"),
    }
    ckpt_export(filepath=str(models / "model.ts"), **common)
    if onnx:
        _convert_to_onnx(staged, common)
    if tensorrt:
        try:
            trt_export(
                filepath=str(models / "model_trt.ts"),
                precision="fp32",
                input_shape=[1, _channels(staged), *_spatial_shape(staged)],
                dynamic_batchsize=_TENSORRT_BATCHES,
                converter_kwargs={"disable_tf32": True},
                **common,
            )
        except RuntimeError as error:
            raise InputError(f"TensorRT cannot hold the network of '{staged.name}': pass --no-tensorrt.") from error


def _convert_to_onnx(staged: Path, common: Mapping[str, Any]) -> None:
    images, height, width = _EXAMPLE_SIZE
    with tempfile.TemporaryDirectory() as temporary:
        # `filename`: PyTorch writes the weights beside the file it is given, and MONAI's own choice is never deleted
        names = {"input_names": ["image"], "output_names": ["pred"], "filename": f"{temporary}/network.onnx"}
        try:
            onnx_export(
                filepath=str(staged / "models" / "model.onnx"),
                input_shape=(images, _channels(staged), height, width),
                converter_kwargs={**names, "dynamic_axes": {"image": _AXES, "pred": _AXES}},
                **common,
            )
        except torch.onnx.errors.OnnxExporterError as error:
            raise InputError(f"The network of '{staged.name}' cannot be put into ONNX: pass --no-onnx.") from error


def _input_format(staged: Path) -> dict[str, Any]:
    metadata = json.loads((staged / "configs" / "metadata.json").read_text())
    return dict(metadata["network_data_format"]["inputs"]["image"])


def _channels(staged: Path) -> int:
    return int(_input_format(staged)["num_channels"])


def _spatial_shape(staged: Path) -> tuple[int, int]:
    height, width = _input_format(staged)["spatial_shape"]
    return height, width


def _compare(staged: Path, network: nn.Module, picture: Path | None) -> list[Difference]:
    exported: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
        "model.ts": torch.jit.load(staged / "models" / "model.ts")
    }
    if (staged / "models" / "model.onnx").is_file():
        exported["model.onnx"] = _onnx_network(staged / "models" / "model.onnx")
    checks = [(file, run, size) for size in SIZES for file, run in exported.items()]
    engine = staged / "models" / "model_trt.ts"
    if engine.is_file():
        checks.append((engine.name, _tensorrt_network(engine), (1, *_spatial_shape(staged))))
    pixels = polyp_phantom(0, size=(480, 640), seed=0)[0] if picture is None else decode_picture(picture)
    channels = _channels(staged)
    return [_difference(network, file, run, _network_input(pixels, channels, size)) for file, run, size in checks]


def _difference(
    network: nn.Module, file: str, run: Callable[[torch.Tensor], torch.Tensor], image: torch.Tensor
) -> Difference:
    with torch.no_grad():
        wanted = network(image)
        given = run(image).reshape(wanted.shape)  # tensors of other shapes must not be broadcast
    images, _, height, width = image.shape
    return Difference(file, (images, height, width), float((given - wanted).abs().max()), float(wanted.abs().max()))


def _tensorrt_network(path: Path) -> Callable[[torch.Tensor], torch.Tensor]:
    engine = load_tensorrt(path)

    def run(image: torch.Tensor) -> torch.Tensor:
        return engine(image.cuda()).cpu()

    return run


def _onnx_network(path: Path) -> Callable[[torch.Tensor], torch.Tensor]:
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])

    def run(image: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(session.run(["pred"], {"image": image.numpy()})[0])

    return run


def _network_input(pixels: np.ndarray, channels: int, size: tuple[int, int, int]) -> torch.Tensor:
    """Picture `[H, W, 3]`, 0 to 255, to `[size[0], channels, size[1], size[2]]`, -2 to 2, every other one mirrored."""
    image = torch.tensor(pixels, dtype=torch.float32).permute(2, 0, 1)[[i % 3 for i in range(channels)]]
    image = F.interpolate(image[None], size[1:], mode="bilinear", antialias=True) / 63.75 - 2
    return torch.cat([image.flip(3) if i % 2 else image for i in range(size[0])])


def _write_zip(staged: Path, target: Path) -> None:
    with atomic_write(target) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(staged.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                archive.write(path, path.relative_to(staged.parent))
