import os
import subprocess
from pathlib import Path
from typing import Any, NoReturn

import pytest
import torch


def _folder_from(variable: str) -> Path:
    value = os.environ.get(variable)
    if not value:
        pytest.skip(f"{variable} is not set")
    return Path(value)


@pytest.fixture(scope="session")
def parity_dir() -> Path:
    """Numbers computed with the published implementations; see CONTRIBUTING.md."""
    return _folder_from("MEDSEG_PARITY_DIR")


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Real images with masks; see CONTRIBUTING.md."""
    return _folder_from("MEDSEG_DATA_DIR")


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def _only_slow_tests_start_processes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Any, args: Any, *_args: Any, **_options: Any) -> NoReturn:
        pytest.fail(f"it starts a process, so it must be marked slow: {args}")

    if request.node.get_closest_marker("slow") is None:
        monkeypatch.setattr(subprocess.Popen, "__init__", refuse)
