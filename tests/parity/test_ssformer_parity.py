"""SSFormer gives the published networks' outputs when filled with the published networks' weights."""

from pathlib import Path

import pytest
from differences import differences

from medseg.networks import PUBLISHED_VARIANTS


@pytest.mark.slow
@pytest.mark.parametrize("variant", PUBLISHED_VARIANTS)
def test_equals_the_published_network(variant: str, parity_dir: Path) -> None:
    found = differences(variant, parity_dir)
    assert len(found) >= 2 * (3 + 1)
    assert {name: value for name, value in found.items() if not value <= 1e-4} == {}
