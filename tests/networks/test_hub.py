"""Weights by name, from a server on this machine that answers as the Hugging Face hub does."""

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch

from medseg.networks import SSFormer, build_encoder
from medseg.networks.checkpoints import PRETRAINED, find_weights

NAME = "mit_b0"


class Hub:
    """The file, and the checksum that the server claims for it."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.checksum: str | None = hashlib.sha256(content).hexdigest()
        self.downloads = 0
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_HEAD(self) -> None:
                if not self.path.startswith("/nvidia/mit-b0/resolve/main/"):
                    return self.send_error(404)
                self.send_response(302)
                if hub.checksum is not None:
                    self.send_header("X-Linked-ETag", f'"{hub.checksum}"')
                self.send_header("Location", "/store")
                self.end_headers()

            def do_GET(self) -> None:
                if self.path != "/store":
                    return self.do_HEAD()
                hub.downloads += 1
                self.send_response(200)
                self.send_header("Content-Length", str(len(hub.content)))
                self.end_headers()
                self.wfile.write(hub.content)

            def log_message(self, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def weights(tmp_path: Path) -> dict[str, torch.Tensor]:
    return {f"encoder.{key}": tensor for key, tensor in build_encoder(NAME).state_dict().items()}


@pytest.fixture
def hub(weights: dict[str, torch.Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    torch.save(weights, tmp_path / "served.bin")
    hub = Hub((tmp_path / "served.bin").read_bytes())
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{hub.server.server_port}")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    yield hub
    hub.close()


def test_downloads_once_shows_the_license_and_loads(
    hub: Hub, weights: dict[str, torch.Tensor], caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        network = SSFormer(encoder=NAME, decoder_channels=8, pretrained=NAME)
        assert all(torch.equal(network.state_dict()[key], tensor) for key, tensor in weights.items())
    assert hub.downloads == 1
    assert "non-commercial use only" in caplog.text


def test_a_damaged_download_is_not_kept(hub: Hub) -> None:
    hub.checksum = "0" * 64
    with pytest.raises(ValueError, match="is damaged, nothing was kept"):
        find_weights(NAME)
    assert [path for path in PRETRAINED[NAME].path.parent.iterdir() if path.is_file()] == []


def test_without_a_checksum_nothing_is_downloaded(hub: Hub) -> None:
    hub.checksum = None
    with pytest.raises(FileNotFoundError, match="announces no checksum"):
        find_weights(NAME)
    assert hub.downloads == 0


def test_offline_it_says_which_file_to_put_where(hub: Hub) -> None:
    hub.close()
    with pytest.raises(FileNotFoundError) as error:
        find_weights(NAME)
    path = PRETRAINED[NAME].path
    assert str(path) in str(error.value)
    assert PRETRAINED[NAME].url in str(error.value)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(hub.content)
    assert find_weights(NAME) == path


def test_a_name_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no weight file 'resnet50'.*pvt_v2_b2"):
        find_weights("resnet50")


def test_commercial_use_is_told_apart() -> None:
    assert {name for name, weights in PRETRAINED.items() if "non-commercial" in weights.license} == {
        f"mit_b{i}" for i in range(6)
    }
