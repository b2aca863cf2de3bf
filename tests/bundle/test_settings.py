"""What a bundle's settings allow, and that `monai.bundle run` checks it."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from monai.bundle import ConfigParser

from medseg.bundle.overrides import check_command_line, literal
from medseg.bundle.settings import check_settings
from medseg.errors import InputError

BUNDLES = Path(__file__).parents[2] / "bundles"
ALL = sorted(path.parents[1] for path in BUNDLES.glob("*/configs/settings.json"))
LUNG = BUNDLES / "ssformer_lung_ct_segmentation"
NAN = float("nan")


@pytest.mark.parametrize("bundle", ALL, ids=lambda bundle: bundle.name)
def test_every_default_is_allowed(bundle: Path) -> None:
    assert len(ALL) == 4
    for file in bundle.glob("configs/**/*.yaml"):
        check_settings(bundle, yaml.safe_load(file.read_text()) or {})


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("epochs", 0, "a whole number at least 1"),
        ("epochs", True, "a whole number"),
        ("batch_size", 0, "a whole number at least 1"),
        ("val_interval", 0, "a whole number at least 1"),
        ("max_steps", 0, "a whole number at least 1"),
        ("val_fraction", 0, "a number greater than 0 and less than 1"),
        ("val_fraction", 1, "a number greater than 0 and less than 1"),
        ("learning_rate", NAN, "a number greater than 0"),
        ("learning_rate", "nan", "a number greater than 0"),
        ("learning_rate", float("inf"), "a number greater than 0"),
        ("seed", "one", "a whole number at least 0 and at most 4294967295 or None"),
        ("decoder_channels", "null", "a whole number at least 1 or None"),
        ("spacing", [1.5, 0, 3], "a list of 3, each a number greater than 0 or -1"),
        ("spacing", [1.5, NAN, 3], "a list of 3"),
        ("spacing", 1.5, "a list of 3"),
        ("context_slices", 2, "one of 1, 3, 5"),
        ("output_format", "dcm", "one of auto, dicom_seg, nifti, both"),
        ("overwrite", "yes", "True or False"),
    ],
)
def test_what_is_refused(name: str, value: Any, wanted: str) -> None:
    with pytest.raises(InputError, match=f"^'{name}' must be {wanted}.*, got .*: pass another value.$"):
        check_settings(LUNG, {name: value})


def test_settings_that_depend_on_others(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="'hu_min' must be less than 'hu_max', got 400 and 400"):
        check_settings(LUNG, {"hu_min": 400, "hu_max": 400})
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for device in ("cuda", "cuda:1"):
        with pytest.raises(InputError, match=f"'device' is {device}, but PyTorch finds no GPU here: pass cpu"):
            check_settings(LUNG, {"device": device})
    check_settings(LUNG, {"device": "cpu", "spacing": [-1, 1.5, 1], "seed": None, "hu_min": "$@facts.hu_min", "x": 0})


@pytest.mark.parametrize("wrong", ["--epochs=0", "--val_fraction 1", "--learning_rate nan", "--spacing [0,1,1]"])
def test_the_command_line_of_monai_is_checked(wrong: str) -> None:
    name = wrong.strip("-").replace("=", " ").split()[0]
    files = ["--config_file", str(LUNG / "configs" / "train.yaml")]
    with pytest.raises(InputError, match=f"^'{name}' must be"):
        check_command_line(LUNG, [*files, *wrong.split()])
    check_command_line(LUNG, [*files, "--epochs", "3", "--device", "cpu", "--dataset_dir", "./$x"])


@pytest.mark.parametrize("bundle", ALL, ids=lambda bundle: bundle.name)
def test_an_evaluation_of_test_sets_makes_no_phantoms(bundle: Path, tmp_path: Path) -> None:
    files = [str(bundle / "configs" / f"{name}.yaml") for name in ("train", "evaluate")]
    config = ConfigParser(ConfigParser.load_config_files(files))
    config.update(
        {"bundle_root": str(bundle), "output_dir": str(tmp_path), "test_sets": {"a": "/data/a"}, "phantoms": 3}
    )
    assert config.get_parsed_content("data_dir") == ""
    assert list(tmp_path.iterdir()) == []
    config["test_sets"] = None
    assert config.get_parsed_content("data_dir") == str(tmp_path / "phantoms")


@pytest.mark.parametrize(
    "value",
    [
        *("$import os", "@x", "%x", "a#b", "a@#b", "x%::y", "$'\\", "plain", "a b", "\udcff$"),
        *(["$a", 1, None], {"_target_": "os.getcwd"}, 1.5, None),
    ],
    ids=ascii,
)
def test_a_literal_comes_back_as_it_is(value: Any, tmp_path: Path) -> None:
    config = {"value": literal(value), "below": {"here": "@value"}, "path": "$[@value]"}
    parser = ConfigParser(json.loads(json.dumps(config)))
    assert parser.get_parsed_content("value") == value
    assert parser.get_parsed_content("path") == [value]
    assert parser.get_parsed_content("below") == {"here": value}
