"""Weights that other libraries wrote themselves give the same feature maps in ours."""

import importlib
import importlib.abc
import importlib.machinery
import sys
import types
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

from medseg.cli.main import main
from medseg.networks import SSFormer, build_encoder

pytestmark = pytest.mark.slow

SIZES = {
    "mit_b0": {"depths": [2, 2, 2, 2], "hidden_sizes": [32, 64, 160, 256], "decoder_hidden_size": 256},
    "mit_b2": {"depths": [3, 4, 6, 3], "hidden_sizes": [64, 128, 320, 512], "decoder_hidden_size": 768},
    "mit_b4": {"depths": [3, 8, 27, 3], "hidden_sizes": [64, 128, 320, 512], "decoder_hidden_size": 768},
}


def stir(network: nn.Module) -> nn.Module:
    """Norms start as the identity and biases as 0, and two that were swapped would go unseen."""
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    return network.eval()


def same(ours: list[torch.Tensor], theirs: list[torch.Tensor]) -> None:
    assert len(ours) == len(theirs) == 4
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=0)
        assert b.std() > 0.1


def encoder_weights(path: Path) -> dict[str, torch.Tensor]:
    return {key.removeprefix("encoder."): tensor for key, tensor in torch.load(path, weights_only=True).items()}


@pytest.mark.parametrize("name", SIZES)
def test_hugging_face_encoder(name: str, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    theirs = stir(
        transformers.SegformerModel(transformers.SegformerConfig(**SIZES[name], num_attention_heads=[1, 2, 5, 8]))
    )
    theirs.save_pretrained(tmp_path)
    assert main(["convert", str(tmp_path / "model.safetensors"), "--to", str(tmp_path / "model.pt")]) == 0
    ours = build_encoder(name).eval()
    ours.load_state_dict(encoder_weights(tmp_path / "model.pt"))

    image = torch.randn(1, 3, 96, 128)
    with torch.inference_mode():
        same(ours(image), list(theirs(image, output_hidden_states=True).hidden_states))


@pytest.mark.parametrize("names", ["as saved", "as in memory"])
def test_hugging_face_segmentation_network(names: str, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.SegformerConfig(**SIZES["mit_b0"], num_attention_heads=[1, 2, 5, 8], num_labels=5)
    theirs = stir(transformers.SegformerForSemanticSegmentation(config))
    theirs.save_pretrained(tmp_path)
    saved = importlib.import_module("safetensors.torch").load_file(tmp_path / "model.safetensors")
    torch.save(saved if names == "as saved" else theirs.state_dict(), tmp_path / "pytorch_model.bin")
    assert main(["convert", str(tmp_path / "pytorch_model.bin"), "--to", str(tmp_path / "model.pt")]) == 0
    ours = SSFormer(
        out_channels=5,
        encoder="mit_b0",
        decoder="simple",
        decoder_channels=256,
        decoder_options={"align_corners": False},
    ).eval()
    ours.load_state_dict(torch.load(tmp_path / "model.pt", weights_only=True))

    image = torch.randn(1, 3, 96, 128)
    with torch.inference_mode():
        reply = theirs(image, output_hidden_states=True)
        same(ours.encoder(image), list(reply.hidden_states))
        torch.testing.assert_close(ours.decoder(ours.encoder(image))[0], reply.logits, atol=1e-4, rtol=0)

    arguments = ["convert", str(tmp_path / "pytorch_model.bin"), "--to", str(tmp_path / "encoder.pt"), "--encoder-only"]
    assert main(arguments) == 0
    build_encoder("mit_b0").load_state_dict(encoder_weights(tmp_path / "encoder.pt"))


class _AnyName(type):
    def __getattr__(cls, name: str) -> str:
        if name.startswith("__"):
            raise AttributeError(name)
        return name


class _NoTorchvision(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Lets timm be imported without torchvision, which it wants for pictures; PVT v2 never calls it."""

    class Module(types.ModuleType):
        __path__: list[str] = []  # noqa: RUF012 (what the import system asks of a package)

        def __getattr__(self, name: str) -> type:
            if name.startswith("__"):
                raise AttributeError(name)
            return _AnyName(name, (), {})

    def find_spec(self, name: str, path: object = None, target: object = None) -> importlib.machinery.ModuleSpec | None:
        ours = name.partition(".")[0] == "torchvision"
        return importlib.machinery.ModuleSpec(name, self, is_package=True) if ours else None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        return self.Module(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        return None


@pytest.fixture
def timm(monkeypatch: pytest.MonkeyPatch) -> Iterator[types.ModuleType]:
    monkeypatch.setattr(sys, "meta_path", [_NoTorchvision(), *sys.meta_path])
    before = set(sys.modules)
    yield pytest.importorskip("timm")
    for name in set(sys.modules) - before:
        if name.partition(".")[0] in ("torchvision", "timm"):
            del sys.modules[name]


@pytest.mark.parametrize("name", ["pvt_v2_b0", "pvt_v2_b2"])
def test_timm_encoder(name: str, timm: types.ModuleType, tmp_path: Path) -> None:
    theirs = stir(timm.create_model(name, pretrained=False))
    features = timm.create_model(name, pretrained=False, features_only=True).eval()
    plain = {key.replace("stages.", "stages_"): value for key, value in theirs.state_dict().items()}
    features.load_state_dict({key: value for key, value in plain.items() if not key.startswith("head.")})

    image = torch.randn(1, 3, 96, 128)
    for i, weights in enumerate((theirs.state_dict(), features.state_dict())):
        torch.save(weights, tmp_path / "timm.pth")
        converted = tmp_path / f"model_{i}.pt"
        assert main(["convert", str(tmp_path / "timm.pth"), "--to", str(converted)]) == 0
        ours = build_encoder(name).eval()
        ours.load_state_dict(encoder_weights(converted))
        with torch.inference_mode():
            same(ours(image), features(image))
