"""`inference_trt.yaml` of every bundle that has one: it is up to date, and without a GPU it says so."""

from pathlib import Path

import pytest
import torch
from monai.bundle import ConfigParser
from running import BUNDLES, config_files, run_command, run_here

from medseg import tensorrt
from medseg.errors import InputError

NAMES = sorted(path.parts[-3] for path in BUNDLES.glob("*/configs/inference_trt.yaml"))

SENTENCE = "TensorRT cannot be used here, there is no NVIDIA GPU: run without inference_trt.yaml."


def test_every_feed_forward_network_has_the_config() -> None:
    """The MS-Former bundles fit their network to each image; there is nothing to build an engine of."""
    assert sorted(path.name for path in BUNDLES.iterdir() if path.name.startswith("ssformer_")) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_only_the_network_and_its_weights_differ(name: str) -> None:
    """The override names two places in lists of inference.yaml; these must be the ones it means."""
    plain = ConfigParser.load_config_files(config_files(name, "inference"))
    config = ConfigParser(ConfigParser.load_config_files(config_files(name, "inference", "inference_trt")))
    config["bundle_root"] = str(BUNDLES / name)
    loader = next(i for i, handler in enumerate(plain["handlers"]) if handler["_target_"] == "CheckpointLoader")
    assert config[f"handlers::{loader}"] == {**plain["handlers"][loader], "_disabled_": True}
    weights = plain["initialize"].index("$medseg.bundle.check_weights(@network_def, @checkpoint)")
    assert config[f"initialize::{weights}"] == "$medseg.tensorrt.check_tensorrt(@checkpoint)"
    changed = {key for key in plain if config[key] != plain[key]} - {"bundle_root"}
    assert changed == {"checkpoint", "network_def", "amp", "handlers", "initialize"}
    assert [i for i, step in enumerate(plain["initialize"]) if config["initialize"][i] != step] == [weights]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("name", NAMES)
def test_without_a_gpu_it_ends_before_any_result(name: str, tmp_path: Path) -> None:
    folders = {"output_dir": str(tmp_path / "out"), "phantom_dir": str(tmp_path / "phantoms")}
    with pytest.raises(Exception, match="evaluate") as error:
        run_here("inferring", name, "inference", "inference_trt", phantoms=2, **folders)
    assert isinstance(error.value.__cause__, InputError)
    assert str(error.value.__cause__) == SENTENCE
    assert list((tmp_path / "out").rglob("*")) == []


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
    monkeypatch.setattr(tensorrt, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="torch_tensorrt is not installed"):
        tensorrt.load_tensorrt(tmp_path / "model_trt.ts")
    monkeypatch.setattr(tensorrt, "find_spec", lambda name: object())
    with pytest.raises(InputError, match="There is no TensorRT engine"):
        tensorrt.check_tensorrt(tmp_path / "model_trt.ts")
