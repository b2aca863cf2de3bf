"""Weight files: published names, strict loading, files that must not be trusted."""

import json
from pathlib import Path

import pytest
import torch

from medseg.networks import PUBLISHED_VARIANTS, SSFormer
from medseg.networks.checkpoints import convert_state_dict, load_pretrained, load_weights, read_state_dict, recognize


def small(**kwargs: object) -> SSFormer:
    return SSFormer(**{"encoder": "mit_b0", "decoder_channels": 8, **kwargs})


def equal(a: SSFormer, b: SSFormer) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


@pytest.mark.parametrize("wrap", [lambda s: s, lambda s: {"state_dict": s, "epoch": 3}, lambda s: {"model": s}])
def test_own_weights_come_back(wrap, tmp_path: Path) -> None:
    saved, other = small(), small()
    torch.save(wrap(saved.state_dict()), tmp_path / "model.pt")
    assert not equal(saved, other)
    load_weights(other, tmp_path / "model.pt")
    assert equal(saved, other)


def test_pretrained_encoder_alone(tmp_path: Path) -> None:
    saved = small()
    torch.save({k: v for k, v in saved.state_dict().items() if k.startswith("encoder.")}, tmp_path / "encoder.pt")
    network = small(decoder_channels=12, pretrained=tmp_path / "encoder.pt")
    assert all(torch.equal(v, saved.encoder.state_dict()[k]) for k, v in network.encoder.state_dict().items())
    with pytest.raises(ValueError, match=r"missing \(decoder"):
        load_weights(network, tmp_path / "encoder.pt")


def test_published_keys_are_all_explained(parity_dir: Path) -> None:
    everything = json.loads((parity_dir / "variants.json").read_text())
    for variant, arguments in PUBLISHED_VARIANTS.items():
        published = everything[variant]
        tensors = {f"module.{key}": torch.empty(shape, device="meta") for key, shape in published["state_dict"]}
        tensors["module.backbone.total_ops"] = torch.zeros(1)
        conversion = convert_state_dict(tensors)
        with torch.device("meta"):
            wanted = SSFormer(**arguments).state_dict()
        assert {k: v.shape for k, v in conversion.state_dict.items()} == {k: v.shape for k, v in wanted.items()}
        unused = {f"module.{key}" for key in published["unused_params"]}
        assert unused <= conversion.dropped.keys()
        assert conversion.dropped.keys() | conversion.renamed.keys() == tensors.keys()

        recognition = recognize(conversion)
        assert recognition.problems == []
        found = {
            **recognition.arguments,
            "decoder_options": {"fuse": False, **recognition.arguments["decoder_options"]},
        }
        wanted_options = {"fuse": False, **arguments.get("decoder_options", {})}
        assert found["decoder_options"] == wanted_options
        assert (found["encoder"], found["decoder"]) == (arguments["encoder"], arguments["decoder"])


def test_misfits_are_named_and_nothing_changes() -> None:
    network = small()
    before = {key: tensor.clone() for key, tensor in network.state_dict().items()}
    weights = dict(before)
    weights["decoder.extra.weight"] = torch.zeros(1)
    del weights["decoder.pred.bias"]
    weights["decoder.pred.weight"] = torch.zeros(3, 8, 1, 1)
    with pytest.raises(
        ValueError, match=r"missing \(decoder\.pred\.bias.*left over \(decoder\.extra.*shape \(decoder\.pred\.w"
    ):
        load_weights(network, weights)
    assert all(torch.equal(tensor, before[key]) for key, tensor in network.state_dict().items())
    with pytest.raises(ValueError, match="check its encoder, decoder"):
        load_pretrained(network, {})


def test_two_keys_of_one_name() -> None:
    with pytest.raises(ValueError, match="would both become"):
        convert_state_dict(
            {"patch_embed1.norm.bias": torch.zeros(1), "backbone.patch_embed1.norm.bias": torch.zeros(1)}
        )


class _Surprise:
    def __reduce__(self) -> tuple:
        return (print, ("code in the file was run",))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (_Surprise(), "could run code"),
        ({}, "holds no state_dict"),
        ({"a": 3}, "holds no state_dict"),
        ([torch.zeros(1)], "holds no state_dict"),
    ],
)
def test_other_files(content: object, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save(content, tmp_path / "bad.pt")
    with pytest.raises(ValueError, match=message) as error:
        read_state_dict(tmp_path / "bad.pt")
    assert "bad.pt" in str(error.value)
    assert "code in the file was run" not in capsys.readouterr().out


def test_truncated_empty_and_missing_files(tmp_path: Path) -> None:
    whole = tmp_path / "whole.pt"
    torch.save(small().state_dict(), whole)
    for size in (0, 10, whole.stat().st_size // 2):
        (tmp_path / "part.pt").write_bytes(whole.read_bytes()[:size])
        with pytest.raises(ValueError, match=r"part\.pt.*truncated|part\.pt.*other than tensors"):
            read_state_dict(tmp_path / "part.pt")
    with pytest.raises(FileNotFoundError, match="There is no weight file"):
        read_state_dict(tmp_path / "none.pt")


def test_safetensors_files(tmp_path: Path) -> None:
    safetensors = pytest.importorskip("safetensors.torch")
    network = small()
    path = tmp_path / "model.safetensors"
    safetensors.save_file(network.state_dict(), path)
    other = small()
    load_weights(other, path)
    assert equal(network, other)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ValueError, match=r"model\.safetensors' cannot be read as a weight file"):
        read_state_dict(path)
    safetensors.save_file({}, path)
    with pytest.raises(ValueError, match="holds no tensors"):
        read_state_dict(path)
