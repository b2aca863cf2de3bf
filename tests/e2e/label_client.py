"""A MONAI Label server in a process group of its own, and its REST API as a viewer uses it."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[2]
LABEL_ENV = Path(os.environ.get("LABEL_ENV", ROOT / ".venv-label"))


class LabelClient:
    """REST requests; any status but 200 is an error that shows the server's answer."""

    def __init__(self, port: int) -> None:
        self.address = f"http://127.0.0.1:{port}"

    def request(self, method: str, path: str, body: bytes | None = None, kind: str = "application/json") -> bytes:
        request = urllib.request.Request(self.address + path, body, {"Content-Type": kind}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=3600) as answer:
                return answer.read()
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"{method} {path}: {error.code} {error.read().decode()[-2000:]}") from error

    def get(self, path: str) -> Any:
        return json.loads(self.request("GET", path))

    def post(self, path: str, body: dict[str, Any] | None = None) -> Any:
        return json.loads(self.request("POST", path, json.dumps(body or {}).encode()))

    def mask(self, model: str, image: str, **parameters: Any) -> bytes:
        """The file with the mask of an image."""
        body = urllib.parse.urlencode({"params": json.dumps(parameters)}).encode()
        kind = "application/x-www-form-urlencoded"
        return self.request("POST", f"/infer/{model}?image={image}&output=image", body, kind)

    def infer(self, model: str, image: str, folder: Path) -> tuple[Path, dict[str, Any]]:
        """The mask as a file, and what is told of it."""
        told = self.post(f"/infer/{model}?image={image}&output=json")
        mask = self.mask(model, image)
        file = folder / (f"{image}.png" if mask.startswith(b"\x89PNG") else f"{image}.nii.gz")
        file.write_bytes(mask)
        return file, told

    def save_label(self, image: str, mask: Path) -> None:
        boundary = uuid.uuid4().hex
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="label"; filename="{mask.name}"\r\n\r\n'
        body = head.encode() + mask.read_bytes() + f"\r\n--{boundary}--\r\n".encode()
        self.request(
            "PUT", f"/datastore/label?image={image}&tag=final", body, f"multipart/form-data; boundary={boundary}"
        )

    def train(self, model: str, **parameters: Any) -> dict[str, Any]:
        """Start training, wait for its end, and return the task with the last lines of its log."""
        self.post(f"/train/{model}", parameters)
        while (task := self.get("/train/"))["status"] in ("SUBMITTED", "RUNNING"):
            time.sleep(0.2)
        return task


def read_nrrd(file: bytes) -> np.ndarray:
    """Voxels of an uncompressed NRRD file of bytes, the first axis first."""
    head, _, voxels = file.partition(b"\n\n")
    fields = dict(line.split(": ", 1) for line in head.decode().splitlines() if ": " in line)
    assert (fields["type"], fields["encoding"]) == ("unsigned char", "raw")
    return np.frombuffer(voxels, np.uint8).reshape([int(size) for size in fields["sizes"].split()], order="F")


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def listens(port: int) -> bool:
    with socket.socket() as knock:
        return knock.connect_ex(("127.0.0.1", port)) == 0


@contextlib.contextmanager
def label_server(bundle: Path, studies: Path, log: Path, options: Sequence[str]) -> Iterator[LabelClient]:
    """`scripts/label_server.sh` until the block ends; whatever it started ends with it."""
    port = free_port()
    command = ["bash", str(ROOT / "scripts" / "label_server.sh"), str(bundle), str(studies), str(port), *options]
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests" / "bundles")])
    # a proxy that goes nowhere: the server needs no network
    proxies = {f"{scheme}_proxy": "http://127.0.0.1:9" for scheme in ("http", "https")} | {"no_proxy": "127.0.0.1"}
    environment = {**os.environ, "LABEL_ENV": str(LABEL_ENV), "PYTHONPATH": path, "OMP_NUM_THREADS": "1", **proxies}
    environment["MONAI_LABEL_AUTO_UPDATE_SCORING"] = "false"  # only when asked for
    with log.open("w") as output:
        server = subprocess.Popen(
            command, env=environment, cwd=log.parent, stdout=output, stderr=output, start_new_session=True
        )
    try:
        while not listens(port):
            assert server.poll() is None, log.read_text()
            time.sleep(0.2)
        client = LabelClient(port)
        client.get("/info/")
        yield client
        server.terminate()
        server.wait(timeout=3600)
        assert not listens(port)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        server.wait(timeout=3600)
