"""`inference_trt.yaml` of every bundle that has one: it is up to date, and without a GPU it says so."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from monai.bundle import ConfigParser
from running import BUNDLES, config_files, run_command, run_here

from medseg import workflow
from medseg.data import InputError

NAMES = sorted(path.parts[-3] for path in BUNDLES.glob("*/configs/inference_trt.yaml"))

SENTENCE = "TensorRT cannot be used here, there is no NVIDIA GPU: run without inference_trt.yaml."


def test_every_feed_forward_network_has_the_config() -> None:
    """The MS-Former bundles fit their network to each image; there is nothing to build an engine of."""
    assert sorted(path.name for path in BUNDLES.iterdir() if path.name.startswith("ssformer_")) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_only_the_network_and_its_weights_differ(name: str) -> None:
    (plain,), (override,) = (config_files(name, kind) for kind in ("inference", "inference_trt"))
    inference, tensorrt = ConfigParser.load_config_file(plain), ConfigParser.load_config_file(override)
    loaders = [handler for handler in inference["handlers"] if handler["_target_"] == "CheckpointLoader"]
    assert len(loaders) == 1
    assert tensorrt["handlers"] == [handler for handler in inference["handlers"] if handler not in loaders]
    weights = "$medseg.workflow.check_weights(@network_def, @checkpoint)"
    engine = "$medseg.workflow.check_tensorrt(@engine)"
    assert tensorrt["initialize"] == [engine if step == weights else step for step in inference["initialize"]]
    assert engine in tensorrt["initialize"]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("name", NAMES)
def test_without_a_gpu_it_ends_before_anything_else(name: str, tmp_path: Path) -> None:
    folders = {"output_dir": str(tmp_path / "out"), "phantom_dir": str(tmp_path / "phantoms")}
    with pytest.raises(Exception, match="evaluate") as error:
        run_here("inferring", name, "inference", "inference_trt", phantoms=2, **folders)
    assert isinstance(error.value.__cause__, InputError)
    assert str(error.value.__cause__) == SENTENCE
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_the_command_ends_with_one_sentence(tmp_path: Path) -> None:
    folders = {"output_dir": tmp_path / "out", "phantom_dir": tmp_path / "phantoms"}
    done = run_command("inferring", NAMES[-1], "inference", "inference_trt", phantoms=2, **folders)
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1] == f"Error: {SENTENCE}"
    assert "Traceback" not in done.stderr


def test_with_a_gpu_the_package_and_the_engine_are_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(workflow, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="torch_tensorrt is not installed"):
        workflow.load_tensorrt(tmp_path / "model_trt.ts")
    monkeypatch.setattr(workflow, "find_spec", lambda name: object())
    with pytest.raises(InputError, match="There is no TensorRT engine"):
        workflow.check_tensorrt(tmp_path / "model_trt.ts")
