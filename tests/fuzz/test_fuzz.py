import pytest
from fuzz import KINDS, fuzz


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_damaged_inputs_are_read_or_refused(kind: str) -> None:
    counts, notes = fuzz(kind, seed=0, cases=300)
    assert notes == []
    assert counts["tried"] == counts["read"] + counts["refused"] == 300
    assert counts["read"] > 0
    assert counts["refused"] > 0
