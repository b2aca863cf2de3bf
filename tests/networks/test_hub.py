"""Weights by name; the hub is replaced at the boundary to `huggingface_hub`."""

import hashlib
import sys
from pathlib import Path

import pytest
import torch

from medseg.networks import SSFormer, build_encoder
from medseg.networks.checkpoints import PRETRAINED, find_weights

huggingface_hub = pytest.importorskip("huggingface_hub")
NAME = "mit_b1"


class Hub:
    """A hub with one file; what it hands out lies in a cache laid out as that of `huggingface_hub`."""

    def __init__(self, content: bytes, cache: Path) -> None:
        self.content = content
        self.cache = cache
        self.asked: list[tuple[str, str, str]] = []
        self.error: Exception | None = None

    def put(self, repository: str, file: str, revision: str) -> Path:
        folder = self.cache / f"models--{repository.replace('/', '--')}"
        blob = folder / "blobs" / hashlib.sha256(self.content).hexdigest()
        blob.parent.mkdir(parents=True, exist_ok=True)
        blob.write_bytes(self.content)
        commit = "c" * 40 if revision == "main" else revision
        (folder / "refs").mkdir(exist_ok=True)
        (folder / "refs" / revision).write_text(commit)
        path = folder / "snapshots" / commit / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(blob)
        return path

    def download(self, repository: str, file: str, revision: str) -> str:
        self.asked.append((repository, file, revision))
        if self.error is not None:
            raise self.error
        return str(self.put(repository, file, revision))


@pytest.fixture
def weights() -> dict[str, torch.Tensor]:
    return {f"encoder.{key}": tensor for key, tensor in build_encoder(NAME).state_dict().items()}


@pytest.fixture
def hub(weights: dict[str, torch.Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    torch.save(weights, tmp_path / "served.bin")
    hub = Hub((tmp_path / "served.bin").read_bytes(), tmp_path / "cache")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(hub.cache))
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", hub.download)
    return hub


def test_downloads_once_shows_the_license_and_loads(
    hub: Hub, weights: dict[str, torch.Tensor], caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        network = SSFormer(encoder=NAME, decoder_channels=8, pretrained=NAME)
        assert all(torch.equal(network.state_dict()[key], tensor) for key, tensor in weights.items())
    assert hub.asked == [("nvidia/mit-b1", "pytorch_model.bin", "main")]
    assert "non-commercial use only" in caplog.text


@pytest.mark.parametrize(
    ("name", "file"),
    [("pvt_v2_b2", "model.safetensors"), ("mit_b0", "pytorch_model.bin"), ("mit_b0", "model.safetensors")],
)
def test_what_another_library_fetched_is_taken(hub: Hub, name: str, file: str) -> None:
    path = hub.put(PRETRAINED[name].repository, file, "main")
    assert find_weights(name) == path
    assert hub.asked == []


def test_a_pinned_revision_is_asked_for(hub: Hub) -> None:
    find_weights("mit_b0")
    assert hub.asked == [("nvidia/mit-b0", "model.safetensors", "25ce79d97e6d9d509ed12e17cb2eb89b0a83a2dc")]


def test_a_damaged_file_is_refused_every_time(hub: Hub) -> None:
    blob = find_weights(NAME).resolve()
    blob.write_bytes(hub.content[:-1] + b"?")
    with pytest.raises(ValueError, match="is damaged: delete it and try again") as error:
        find_weights(NAME)
    assert str(blob) in str(error.value)


def says_how_to_get_the_file(error: pytest.ExceptionInfo) -> bool:
    """In one sentence of one line."""
    return "hf download nvidia/mit-b1 pytorch_model.bin --revision main" in str(error.value) and "\n" not in str(
        error.value
    )


def test_offline_it_says_how_to_get_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The library itself, in its offline mode."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(FileNotFoundError, match=r"cannot be downloaded \(") as error:
        find_weights(NAME)
    assert says_how_to_get_the_file(error)


def test_an_error_of_the_hub_says_how_to_get_the_file(hub: Hub) -> None:
    hub.error = OSError("Consistency check failed: file should be of size 3.\nPlease retry.")
    with pytest.raises(FileNotFoundError, match=r"cannot be downloaded \(Consistency check failed.* size 3\)") as error:
        find_weights(NAME)
    assert says_how_to_get_the_file(error)


def test_without_the_library_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ValueError, match="pip install huggingface_hub"):
        find_weights(NAME)


def test_a_name_that_is_none() -> None:
    with pytest.raises(FileNotFoundError, match=r"no weight file 'resnet50'.*pvt_v2_b2"):
        find_weights("resnet50")


def test_commercial_use_is_told_apart() -> None:
    assert {name for name, weights in PRETRAINED.items() if "non-commercial" in weights.license} == {
        f"mit_b{i}" for i in range(6)
    }
