import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from monai.utils import set_determinism

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _leave_no_trace(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Configs seed everything and shorten tracebacks, for the life of their process."""
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    yield
    set_determinism(seed=None)
