"""Weights know their network: what a file says of itself, and what becomes of values that contradict it."""

from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from ignite.engine import Engine
from monai.handlers import CheckpointLoader
from torch import nn

from medseg.bundle import ModelFacts, check_new_run, starting_weights, trained_dir
from medseg.errors import InputError

SAID = {"encoder": "mit_b0", "decoder_channels": None, "image_size": 96, "mean": [0.1, 0.2, 0.3]}
DEFAULTS: dict[str, Any] = {
    "encoder": "mit_b2",
    "decoder_channels": None,
    "image_size": 352,
    "mean": [0, 0, 0],
    "std": 1,
}


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    state_dict = OrderedDict(nn.Linear(2, 1).state_dict())
    state_dict.medseg = {"trained_with": {**SAID, "of_another_bundle": 1}}
    torch.save(state_dict, tmp_path / "model.pt")
    return tmp_path / "model.pt"


def test_the_file_comes_before_the_defaults(weights: Path) -> None:
    facts = ModelFacts(weights, DEFAULTS, {"image_size": 1})
    assert facts.values == {**DEFAULTS, **SAID}
    assert (facts.encoder, facts.image_size, facts.std) == ("mit_b0", 96, 1)
    with pytest.raises(AttributeError, match="of_another_bundle"):
        _ = facts.of_another_bundle


def test_a_file_that_says_nothing_and_none(tmp_path: Path) -> None:
    torch.save(nn.Linear(2, 1).state_dict(), tmp_path / "plain.pt")
    plain = ModelFacts(tmp_path / "plain.pt", DEFAULTS, {"image_size": 1})
    assert plain.values == DEFAULTS
    plain.check({"image_size": 5, "encoder": "cvt_13"})
    assert ModelFacts(tmp_path / "none.pt", DEFAULTS, {"image_size": 1}).image_size == 1
    (tmp_path / "broken.pt").write_bytes(b"broken")
    with pytest.raises(InputError, match="cannot be read"):
        ModelFacts(tmp_path / "broken.pt", DEFAULTS)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"encoder": "mit_b2"}, "was trained with encoder mit_b0, not mit_b2: leave encoder out"),
        ({"image_size": 352}, "image_size 96, not 352"),
        ({"mean": [0.1, 0.2, 0.4]}, "mean"),
        ({"encoder": "mit_b0", "image_size": 96, "mean": [0.1, 0.2, 0.3], "decoder_channels": 64, "other": 3}, None),
        ({"image_size": None}, None),
    ],
)
def test_contradictions(weights: Path, given: dict[str, Any], told: str | None) -> None:
    facts = ModelFacts(weights, DEFAULTS)
    if told is None:
        return facts.check(given)
    with pytest.raises(InputError, match=told):
        facts.check(given)


def test_other_readers_see_tensors_only(weights: Path) -> None:
    network = nn.Linear(2, 1)
    CheckpointLoader(str(weights), {"model": network}, map_location="cpu")(Engine(lambda engine, batch: None))
    content = torch.load(weights, weights_only=True)
    network.load_state_dict(content)
    assert content.keys() == {"weight", "bias"}
    assert torch.equal(network.weight, content["weight"])


@pytest.mark.parametrize(
    ("pretrained", "dataset_dir", "start"),
    [
        ("imagenet", "data", "imagenet"),
        ("imagenet", None, None),
        (None, "data", None),
        ("null", "data", None),
        ("None", "data", None),
        ("mit_b2", None, "mit_b2"),
    ],
)
def test_what_training_starts_from(pretrained: str | None, dataset_dir: str | None, start: str | None) -> None:
    assert starting_weights(pretrained, dataset_dir) == start


def test_weights_of_another_run_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_new_run(tmp_path, overwrite=False)
    (tmp_path / "model.pt").touch()
    with pytest.raises(InputError, match=r"holds model\.pt of another run: pass --ckpt_dir"):
        check_new_run(tmp_path, overwrite=False)
    check_new_run(tmp_path, overwrite=True)
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1")
    check_new_run(tmp_path, overwrite=False)


def test_evaluation_takes_what_training_wrote_else_the_bundles_own(tmp_path: Path) -> None:
    assert trained_dir(tmp_path / "eval", tmp_path) == str(tmp_path / "models")
    (tmp_path / "eval" / "models").mkdir(parents=True)
    (tmp_path / "eval" / "models" / "model.pt").touch()
    assert trained_dir(tmp_path / "eval", tmp_path) == str(tmp_path / "eval" / "models")
