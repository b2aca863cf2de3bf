"""The networks give the values that they gave when they equaled the published ones (see tests/parity)."""

import json

import numpy as np
import pytest
from golden import GOLDEN, NAMES, golden

EXPECTED = json.loads(GOLDEN.read_text())


def test_every_variant_family_and_decoder_has_values() -> None:
    assert {kind: set(rows) for kind, rows in EXPECTED.items()} == {kind: set(names) for kind, names in NAMES.items()}


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, names in NAMES.items() for name in names])
def test_values(kind: str, name: str) -> None:
    """In float64 rounding stays below 1e-9; the tolerance leaves room for another processor."""
    for ours, expected in zip(golden(kind, name), EXPECTED[kind][name], strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-6, atol=1e-7)
