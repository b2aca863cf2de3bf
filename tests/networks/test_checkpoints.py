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


@pytest.mark.parametrize("other", [{"out_channels": 3}, {"decoder": "simple"}, {"decoder_channels": 16}], ids=str)
def test_pretrained_with_another_head_takes_the_encoder_and_says_so(
    other: dict, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    saved = small(**other)
    torch.save(saved.state_dict(), tmp_path / "other.pt")
    network = small(pretrained=tmp_path / "other.pt")
    assert all(torch.equal(v, saved.encoder.state_dict()[k]) for k, v in network.encoder.state_dict().items())
    assert "the encoder is taken, the decoder starts at random: " in caplog.text
    caplog.clear()
    assert equal(small(**other, pretrained=tmp_path / "other.pt"), saved)
    assert caplog.text == ""
    with pytest.raises(ValueError, match="do not fit this SSFormer"):
        small(encoder="pvt_tiny", pretrained=tmp_path / "other.pt")


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


@pytest.mark.parametrize(
    ("start", "message"),
    [
        ("<!DOCTYPE html><title>Sign in</title>", "is a web page, not a weight file: fetch the file itself"),
        ("\n<html>", "is a web page"),
        ("version https://git-lfs.github.com/spec/v1\noid sha256:0", "is a git-lfs pointer.*git lfs pull"),
    ],
)
@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_files_of_another_kind(start: str, message: str, suffix: str, tmp_path: Path) -> None:
    path = (tmp_path / "page").with_suffix(suffix)
    path.write_text(start)
    with pytest.raises(ValueError, match=message):
        read_state_dict(path)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.complex64])
def test_values_that_are_not_finite(value: float, dtype: torch.dtype, tmp_path: Path) -> None:
    torch.save({"whole": torch.zeros(2), "broken.weight": torch.tensor([0, value]).to(dtype)}, tmp_path / "bad.pt")
    with pytest.raises(ValueError, match=r"NaN or infinite values in 'broken\.weight'"):
        read_state_dict(tmp_path / "bad.pt")


@pytest.mark.parametrize("dtype", [torch.bool, torch.int64, torch.complex64])
def test_types_that_are_no_weights(dtype: torch.dtype, tmp_path: Path) -> None:
    network = small()
    weights = {key: t.to(dtype) if key == "decoder.pred.weight" else t for key, t in network.state_dict().items()}
    torch.save(weights, tmp_path / "bad.pt")
    kind = str(dtype).removeprefix("torch.")
    with pytest.raises(ValueError, match=rf"1 of another type \(decoder\.pred\.weight {kind} instead of float32\)"):
        load_weights(network, tmp_path / "bad.pt")


@pytest.mark.parametrize("tensor", [torch.eye(3).to_sparse(), torch.empty(3, device="meta")])
def test_tensors_without_plain_values(tensor: torch.Tensor, tmp_path: Path) -> None:
    torch.save({"weight": tensor}, tmp_path / "bad.pt")
    with pytest.raises(ValueError, match="sparse, quantized or without values"):
        read_state_dict(tmp_path / "bad.pt")


def test_one_flipped_bit_in_a_record(tmp_path: Path) -> None:
    path = tmp_path / "flipped.pt"
    torch.save({"weight": torch.full((1000,), 1.25)}, path)
    content = bytearray(path.read_bytes())
    content[content.index(torch.full((4,), 1.25).numpy().tobytes()) + 9] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match="truncated or damaged"):
        read_state_dict(path)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_any_damage_is_told_in_one_sentence(tmp_path: Path) -> None:
    whole, path = tmp_path / "whole.pt", tmp_path / "mutated.pt"
    torch.save({"a.weight": torch.ones(3, 4), "b": torch.zeros(2)}, whole, _use_new_zipfile_serialization=False)
    content, random = whole.read_bytes(), torch.Generator().manual_seed(0)
    for _ in range(200):
        mutated = bytearray(content)
        for place in torch.randint(len(content), (3,), generator=random).tolist():
            mutated[place] = int(torch.randint(256, (), generator=random))
        path.write_bytes(mutated)
        try:
            read_state_dict(path)
        except ValueError as error:
            assert "mutated.pt" in str(error)  # noqa: PT017 (some mutations leave a readable file)


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
    with pytest.raises(ValueError, match="holds no state_dict"):
        read_state_dict(path)
