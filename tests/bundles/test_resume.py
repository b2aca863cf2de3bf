"""Training that was stopped between two epochs and resumed, against training that was not."""

from pathlib import Path
from typing import Any

import pytest
import torch
from ignite.engine import Events
from running import run_here, workflow_of

pytestmark = pytest.mark.slow

FILES = ("train", "variants/smoke", "resume")
SMALL = {"epochs": 4, "image_size": 32, "phantoms": 8}


class _StopError(Exception):
    pass


def stop_after_two_epochs(bundle: str, **options: Any) -> None:
    workflow = workflow_of("train", bundle, *FILES[:2], **options)
    workflow.initialize()

    def stop() -> None:
        raise _StopError

    trainer = workflow.parser.get_parsed_content("train::trainer")
    trainer.add_event_handler(Events.EPOCH_COMPLETED(once=2), stop)  # after the handlers of the config
    with pytest.raises(Exception, match="evaluate") as error:
        workflow.run()
    assert isinstance(error.value.__cause__, _StopError)


def differing(one: Any, other: Any, name: str = "") -> list[str]:
    """Names of the values that differ in one bit or more."""
    if isinstance(one, dict) and one.keys() == other.keys():
        return [found for key in one for found in differing(one[key], other[key], f"{name}/{key}")]
    if isinstance(one, list) and len(one) == len(other):
        return [
            found for i, pair in enumerate(zip(one, other, strict=True)) for found in differing(*pair, f"{name}/{i}")
        ]
    same = torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other
    return [] if same else [name]


@pytest.mark.parametrize("bundle", ["ssformer_polyp_segmentation", "ssformer_lung_ct_segmentation"])
def test_resumed_training_ends_as_training_that_was_not_stopped(bundle: str, tmp_path: Path) -> None:
    whole, cut = ({**SMALL, "output_dir": str(tmp_path / name), "phantom_dir": str(tmp_path)} for name in ("a", "b"))
    run_here("training", bundle, *FILES[:2], **whole)
    stop_after_two_epochs(bundle, **cut)
    run_here("training", bundle, *FILES, **cut)
    for name in ("checkpoint.pt", "model.pt"):
        states = [torch.load(tmp_path / run / "models" / name, weights_only=True) for run in ("a", "b")]
        for state in states:
            state.get("best", {}).pop("_saved", None)
        assert differing(*states) == []


def test_resuming_a_complete_run_or_with_another_network_is_told(tmp_path: Path) -> None:
    options = {**SMALL, "output_dir": str(tmp_path), "epochs": 1}
    run_here("training", "ssformer_polyp_segmentation", *FILES[:2], **options)
    before = sorted(path for path in tmp_path.rglob("*"))
    for other, words in (({}, "so it is complete"), ({"decoder_channels": 8, "epochs": 2}, "do not fit this SSFormer")):
        with pytest.raises(Exception, match="evaluate") as error:
            run_here("training", "ssformer_polyp_segmentation", *FILES, **options | other)
        assert words in str(error.value.__cause__)
    assert sorted(path for path in tmp_path.rglob("*")) == before
