"""What every folder under bundles/ must keep to; a new bundle is covered without a new test."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import jsonschema
import pytest
import yaml
from monai.bundle import ConfigParser, verify_net_in_out
from running import BUNDLES, workflow_of

NAMES = sorted(path.name for path in BUNDLES.iterdir() if (path / "configs").is_dir())
CONFIGS = sorted(BUNDLES.glob("*/configs/**/*.yaml"))
SELF_CONTAINED = ("train", "inference")


def named(path: Path) -> str:
    return str(path.relative_to(BUNDLES))


def expressions(config: object) -> list[str]:
    if isinstance(config, dict):
        return [found for value in config.values() for found in expressions(value)]
    if isinstance(config, list):
        return [found for value in config for found in expressions(value)]
    return [config] if isinstance(config, str) and config.startswith("$") else []


@pytest.mark.parametrize("name", NAMES)
def test_files_are_complete(name: str) -> None:
    wanted = ["LICENSE", "docs/README.md", "docs/data_license.txt"]
    wanted += [f"configs/{file}" for file in ("metadata.json", "logging.conf", "evaluate.yaml")]
    wanted += [f"configs/{kind}.yaml" for kind in SELF_CONTAINED]
    assert [file for file in wanted if not (BUNDLES / name / file).is_file()] == []


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", SELF_CONTAINED)
def test_properties(name: str, kind: str, tmp_path: Path) -> None:
    workflow = workflow_of(kind, name, kind, output_dir=str(tmp_path), ckpt_dir=str(tmp_path))
    workflow.parser.parse(reset=True)
    workflow._is_initialized = True  # the checks of `initialize` want data and weights; the properties do not
    assert workflow.check_properties() == []


@pytest.mark.parametrize("name", NAMES)
def test_network_takes_and_gives_what_the_metadata_say(name: str) -> None:
    configs = BUNDLES / name / "configs"
    verify_net_in_out(
        net_id="network_def",
        meta_file=str(configs / "metadata.json"),
        config_file=str(configs / "inference.yaml"),
        device="cpu",
    )


@pytest.mark.parametrize("name", NAMES)
def test_metadata(name: str) -> None:
    metadata = json.loads((BUNDLES / name / "configs" / "metadata.json").read_text())
    required = ["version", "name", "task", "description", "authors", "copyright", "data_source", "intended_use"]
    versions = {"type": "object", "minProperties": 1, "additionalProperties": {"pattern": r"^\d+\.\d+"}}
    jsonschema.validate(
        metadata,
        {
            "properties": {
                **{key: {"type": "string", "minLength": 1} for key in required},
                **{f"{key}_version": {"pattern": r"^\d+\.\d+\.\d+$"} for key in ("monai", "pytorch", "numpy")},
                "required_packages_version": versions,
                "changelog": {"type": "object", "required": [metadata["version"]]},
                "network_data_format": {"required": ["inputs", "outputs"]},
            },
            "required": [*required, "schema", "required_packages_version"],
        },
    )
    outputs = metadata["network_data_format"]["outputs"]
    assert next(iter(outputs)) == "pred"
    assert outputs["pred"]["channel_def"]["0"] == "background"


@pytest.mark.parametrize("path", CONFIGS, ids=named)
def test_config_is_readable(path: Path) -> None:
    lines = path.read_text().splitlines()
    assert len(lines) <= (250 if path.stem in SELF_CONTAINED else 60)
    assert max(map(len, lines)) <= 120
    assert lines[0].startswith("# ")
    for expression in expressions(yaml.safe_load(path.read_text())):
        assert len(expression) <= 120
        assert "lambda" not in expression
        if expression.startswith("$import"):
            continue
        tree = ast.parse(re.sub(r"[@%]", "_", expression[1:]).replace("::", "__"), mode="eval")
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
        assert len(calls) <= 1, f"{expression} calls more than one function: that belongs into medseg, with a test"
        assert not [n for n in ast.walk(tree) if isinstance(n, ast.ListComp | ast.DictComp | ast.IfExp | ast.Subscript)]


@pytest.mark.parametrize("path", CONFIGS, ids=named)
def test_no_number_became_a_string(path: Path) -> None:
    """YAML reads 1e-4 and None as strings."""
    text = path.read_text()
    assert re.findall(r":\s+(?:\d+e-?\d+|None)\b", text) == []


@pytest.mark.parametrize("name", NAMES)
def test_training_and_inference_agree(name: str) -> None:
    train, inference = (
        ConfigParser.load_config_files(str(BUNDLES / name / "configs" / f"{kind}.yaml")) for kind in SELF_CONTAINED
    )
    both = ("encoder", "decoder", "decoder_channels", "image_size", "mean", "std")
    both += ("context_slices", "hu_max", "hu_min", "out_channels", "spacing")
    assert {key: train.get(key) for key in both} == {key: inference.get(key) for key in both}
    network = {key: value for key, value in train["network_def"].items() if key != "pretrained"}
    assert network == inference["network_def"]
    reading = [step for step in train["validate"]["preprocessing"]["transforms"] if step["keys"] != "label"]
    for step in reading:
        if "label" in step["keys"]:
            step["keys"] = "image"
    assert reading == inference["preprocessing"]["transforms"]
    decisions = [
        [step for step in steps if step["_target_"] == "AsDiscreted" and step.keys() & {"argmax", "threshold"}]
        for steps in (
            train["validate"]["postprocessing"]["transforms"],
            inference["postprocessing"]["transforms"],
        )
    ]
    assert decisions[0] == decisions[1] != []
