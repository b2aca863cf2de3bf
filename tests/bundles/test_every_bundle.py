"""What every folder under bundles/ must keep to; a new bundle is covered without a new test."""

import ast
import json
import os
import re
from pathlib import Path

import jsonschema
import pytest
import yaml
from monai.bundle import ConfigParser, verify_metadata, verify_net_in_out
from running import BUNDLES, workflow_of

NAMES = sorted(path.name for path in BUNDLES.iterdir() if (path / "configs").is_dir())
CONFIGS = sorted(BUNDLES.glob("*/configs/**/*.yaml"))
SELF_CONTAINED = ("train", "inference")
WRITTEN_BY_RUNS = {"models", "eval", "output"}  # ignored by git, no part of a bundle's sources
# a path from the root, at the start of a value or of a string in an expression, unless it is joined to a folder
ABSOLUTE = re.compile(r"""(?:^|(?<!\+ )['"])(?:/|~/|[A-Za-z]:\\)""")


def named(path: Path) -> str:
    return str(path.relative_to(BUNDLES))


def values(config: object) -> list[str]:
    if isinstance(config, dict):
        return [found for value in config.values() for found in values(value)]
    if isinstance(config, list):
        return [found for value in config for found in values(value)]
    return [config] if isinstance(config, str) else []


@pytest.mark.parametrize("name", NAMES)
def test_files_are_complete(name: str) -> None:
    wanted = ["LICENSE", "docs/README.md", "docs/data_license.txt"]
    wanted += [f"configs/{file}" for file in ("metadata.json", "logging.conf", "evaluate.yaml")]
    wanted += [f"configs/{kind}.yaml" for kind in SELF_CONTAINED]
    assert [file for file in wanted if not (BUNDLES / name / file).is_file()] == []


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", SELF_CONTAINED)
def test_properties(name: str, kind: str, tmp_path: Path) -> None:
    folders = {key: str(tmp_path / key) for key in ("output_dir", "ckpt_dir", "phantom_dir")}
    workflow = workflow_of(kind, name, kind, **folders, phantoms=5)
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


@pytest.mark.parametrize("name", NAMES)
def test_metadata_against_the_published_schema(name: str) -> None:
    schema = os.environ.get("MEDSEG_SCHEMA")
    if not schema:
        pytest.skip("MEDSEG_SCHEMA is not set")
    assert Path(schema).is_file()  # or MONAI would download it
    verify_metadata(meta_file=str(BUNDLES / name / "configs" / "metadata.json"), filepath=schema, create_dir=False)


@pytest.mark.parametrize("name", NAMES)
def test_what_the_model_zoo_asks_of_a_contribution(name: str) -> None:
    """Its checklist, where a program can tell; what verify_net_in_out and the files' test cover is there."""
    bundle = BUNDLES / name
    assert re.fullmatch(r"[a-z0-9]+(_[a-z0-9]+)+", name)
    # MONAI Label takes bundles of these names for tasks of another kind
    assert not re.search(r"detection|deepedit|deepgrow|classification", name)
    files = [path for path in bundle.rglob("*") if path.is_file()]
    sources = [path for path in files if path.relative_to(bundle).parts[0] not in WRITTEN_BY_RUNS]
    assert [path.name for path in sources if path.stat().st_size > 25e6] == []
    assert [path.name for path in sources if path.suffix in {".pt", ".ts", ".onnx", ".py"}] == []
    metadata = json.loads((bundle / "configs" / "metadata.json").read_text())
    assert metadata["version"] == list(metadata["changelog"])[-1]
    pins = {**metadata["required_packages_version"]}
    pins |= {key: metadata[f"{key}_version"] for key in ("monai", "pytorch", "numpy")}
    assert {key: pin for key, pin in pins.items() if not re.fullmatch(r"\d+(\.\d+)+", pin)} == {}
    assert [text for text in values(metadata) if ABSOLUTE.search(text)] == []
    assert (bundle / "docs" / "README.md").read_text().startswith("# ")
    assert "Apache License" in (bundle / "LICENSE").read_text()


@pytest.mark.parametrize("path", CONFIGS, ids=named)
def test_config_has_no_path_of_one_machine(path: Path) -> None:
    assert [text for text in values(yaml.safe_load(path.read_text())) if ABSOLUTE.search(text)] == []


@pytest.mark.parametrize("text", ["/data/x", "~/x", "$open('/data/x')", "C:\\x"])
def test_a_path_of_one_machine_is_found(text: str) -> None:
    assert ABSOLUTE.search(text)


@pytest.mark.parametrize("path", CONFIGS, ids=named)
def test_config_is_readable(path: Path) -> None:
    lines = path.read_text().splitlines()
    assert len(lines) <= (250 if path.stem in SELF_CONTAINED else 60)
    assert max(map(len, lines)) <= 120
    assert lines[0].startswith("# ")
    for expression in (text for text in values(yaml.safe_load(path.read_text())) if text.startswith("$")):
        assert len(expression) <= 120
        assert "lambda" not in expression
        if expression.startswith("$import"):
            continue
        tree = ast.parse(re.sub(r"[@%]", "_", expression[1:]).replace("::", "__"), mode="eval")
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
        assert len(calls) <= 1, f"{expression} calls more than one function: that belongs into medseg, with a test"
        assert not [n for n in ast.walk(tree) if isinstance(n, ast.ListComp | ast.DictComp | ast.IfExp | ast.Subscript)]


@pytest.mark.parametrize("path", CONFIGS, ids=named)
def test_every_run_starts_alike(path: Path) -> None:
    """What an override file may change are the lists `checks` and `attach` and the value `track`."""
    config = yaml.safe_load(path.read_text())
    if path.stem in SELF_CONTAINED:
        assert config["initialize"][:3] == ["$medseg.bundle.initialize(@bundle_root, @seed)", "@checks", "@track"]
        assert config["initialize"][3:] in ([], ["@attach"])
    else:
        assert "initialize" not in config
    assert config.get("track", "medseg.bundle.track_run(").count("medseg.bundle.track_run(") == 1
    # an override by the position in a list would hit another item when the list changes
    assert [key for key in config if re.search(r"(::|#)\d+(::|#|$)", key)] == []


NUMBERS = {"batch_size", "cache_rate", "image_size", "phantoms", "label_groups", "slices_per_volume"}
# what a run from scratch on volumes has not been measured with: averaged weights, clipped gradients, a slower encoder
RECIPE = {"pretrained", "average", "encoder_rate", "clip_norm", "ema_decay", "optimizer", "train::inferer"}
RECIPE |= {"train::handlers", "train::trainer::amp", "train::trainer::amp_kwargs", "train::saver::save_dict"}
RECIPE |= {"validate::saver::save_dict", "validate::evaluator::network", "validate::evaluator::amp"}
CT = {"context_slices", "hu_max", "hu_min", "out_channels", "spacing", "volume_device", "overlap", "output_format"}
CLASSES = {"classes", "label_values", "label_set", "label_names", "mask_suffix", "ignore"}  # of pictures
SIBLINGS = {
    ("ssformer_polyp_segmentation", "ssformer_lung_ct_segmentation", "train"): {
        *(NUMBERS | CT | CLASSES | RECIPE | {"mean", "std", "facts", "trained_with"}),
        *("checks", "data_dir", "pairs", "loss::loss", "network_def::in_channels", "network_def::out_channels"),
        *("train::preprocessing", "validate::preprocessing", "validate::postprocessing", "validate::inferer"),
        *("validate::key_metric", "validate::additional_metrics", "validate::handlers", "validate::evaluator::device"),
    },
    ("ssformer_polyp_segmentation", "ssformer_lung_ct_segmentation", "inference"): {
        *(
            NUMBERS
            | CT
            | CLASSES
            | {"mean", "std", "facts", "trained_with", "sw_batch_size", "save_probabilities", "imports"}
        ),
        *("input_kind", "cases", "data_dir", "network_def::in_channels", "network_def::out_channels"),
        *("preprocessing", "postprocessing", "inferer", "handlers", "evaluator::device"),
    },
    ("msformer_skin_lesion_segmentation", "msformer_lung_ct_segmentation", "train"): {
        *("channel_weights", "gamma", "strategy", "strategy_options", "data_dir"),
        *("train::preprocessing", "validate::preprocessing"),
    },
    ("msformer_skin_lesion_segmentation", "msformer_lung_ct_segmentation", "inference"): {
        *("channel_weights", "gamma", "strategy", "strategy_options", "data_dir", "preprocessing")
    },
}


def leaves(value: object, name: str = "") -> dict[str, object]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = {key: leaf for k, item in items for key, leaf in leaves(item, f"{name}::{k}".lstrip(":")).items()}
    return found or {name: value}


@pytest.mark.parametrize(("first", "second", "kind"), SIBLINGS)
def test_siblings_differ_only_where_they_must(first: str, second: str, kind: str) -> None:
    """`train.yaml` and `inference.yaml` must stand whole in each bundle; what they share stays the same."""
    one, other = (
        leaves(yaml.safe_load((BUNDLES / name / "configs" / f"{kind}.yaml").read_text())) for name in (first, second)
    )
    differing = {key for key in one.keys() | other.keys() if one.get(key, "missing") != other.get(key, "missing")}
    allowed = SIBLINGS[first, second, kind]
    assert sorted(key for key in differing if not any(f"{key}::".startswith(f"{id}::") for id in allowed)) == []


def test_override_files_that_are_the_same_exist_once() -> None:
    files = [path for path in CONFIGS if path.stem not in SELF_CONTAINED]
    texts = [path.read_text() for path in files]
    twins = [named(path) for path, text in zip(files, texts, strict=True) if texts.count(text) > 1]
    assert [name for name in twins if not (BUNDLES / name).is_symlink()] == []


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
    if "facts" in inference:  # what the weights say of themselves; the defaults count for those that do not
        evaluate = yaml.safe_load((BUNDLES / name / "configs" / "evaluate.yaml").read_text())
        defaults = inference["facts"]["defaults"]
        assert defaults == evaluate["facts"]["defaults"] == {key: train[key] for key in defaults}
        assert inference["trained_with"] == train["trained_with"] == {key: f"@{key}" for key in defaults}
        assert train["facts"]["trained_with"] == "@trained_with"
        for config in (inference, evaluate):
            assert {key: config[key] for key in defaults} == {key: f"$@facts.{key}" for key in defaults}
    network = {key: value for key, value in train["network_def"].items() if key != "pretrained"}
    assert network == inference["network_def"]
    reading = [step for step in train["validate"]["preprocessing"]["transforms"] if step["keys"] != "label"]
    for step in reading:
        if "label" in step["keys"]:
            step["keys"] = "image"
    assert reading == inference["preprocessing"]["transforms"]
    decisions = [
        [
            step
            for step in steps
            if step.keys() & {"argmax", "threshold"} or step["_target_"] == "medseg.transforms.ArgmaxInvertd"
        ]
        for steps in (train["validate"]["postprocessing"]["transforms"], inference["postprocessing"]["transforms"])
    ]
    assert decisions[0] == decisions[1] != []
