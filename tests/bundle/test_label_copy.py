"""Placing a bundle for MONAI Label; the server itself is in tests/e2e."""

import json
import shutil
from pathlib import Path

import pytest
import torch
import yaml

from medseg.bundle.monai_label import copy_for_label
from medseg.cli.main import main
from medseg.errors import InputError
from medseg.networks import SSFormer

BUNDLES = Path(__file__).parents[2] / "bundles"
NAMES = sorted(path.parents[1].name for path in BUNDLES.glob("*/configs/label.yaml"))
SMALL = {"encoder": "mit_b0", "decoder_channels": 8}


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A copy of the lung bundle with small weights."""
    ignored = shutil.ignore_patterns("models", "eval")
    copy = shutil.copytree(BUNDLES / "ssformer_lung_ct_segmentation", tmp_path / "lungs", ignore=ignored)
    (copy / "models").mkdir()
    torch.save(SSFormer(out_channels=3, **SMALL).state_dict(), copy / "models" / "model.pt")
    return copy


def test_the_copy_differs_where_label_wants_it(bundle: Path, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in bundle.rglob("*") if path.is_file()}
    placed = copy_for_label(bundle, tmp_path / "app", {**SMALL, "learning_rate": 0.5})
    assert placed == tmp_path / "app" / "model" / "lungs"
    assert {path: path.read_bytes() for path in bundle.rglob("*") if path.is_file()} == before
    inference, train = (yaml.safe_load((placed / "configs" / f"{k}.yaml").read_text()) for k in ("inference", "train"))
    metadata = json.loads((placed / "configs" / "metadata.json").read_text())
    assert len(metadata["network_data_format"]["inputs"]["image"]["spatial_shape"]) == 3
    assert inference["encoder"] == train["encoder"] == "mit_b0"
    assert (train["learning_rate"], train["label_groups"]) == (0.5, [[1], [2]])
    assert "learning_rate" not in inference
    # all that Label reads is still there, and nothing but the postprocessing changed
    own = yaml.safe_load((bundle / "configs" / "inference.yaml").read_text()) | SMALL
    changed = {key for key in inference if inference[key] != own.get(key)}
    assert changed == {"displayable_configs", "postprocessing"}


@pytest.mark.parametrize("name", NAMES)
def test_every_difference_has_a_place(name: str) -> None:
    """MONAI takes an id that does not exist without a word."""
    configs = BUNDLES / name / "configs"
    files = {"inference": "inference.yaml", "train": "train.yaml", "metadata": "metadata.json"}
    for section, ids in yaml.safe_load((configs / "label.yaml").read_text()).items():
        content = yaml.safe_load((configs / files[section]).read_text())
        for id_ in ids.keys() - {"displayable_configs"}:
            found = content
            for key in id_.split("::"):
                assert key in found, f"{id_} in {section} of {name}"
                found = found[key]


def test_a_value_below_a_component_reaches_the_network(bundle: Path, tmp_path: Path) -> None:
    network = {**SMALL, "decoder": "mla"}
    weights = SSFormer(out_channels=3, **network, decoder_options={"fuse": True}).state_dict()
    torch.save(weights, bundle / "models" / "model.pt")
    copy_for_label(bundle, tmp_path, {**network, "network_def::decoder_options": {"fuse": True}})


def test_weights_that_label_trained_are_kept(bundle: Path, tmp_path: Path) -> None:
    weights = copy_for_label(bundle, tmp_path, SMALL) / "models" / "model.pt"
    torch.save(SSFormer(out_channels=3, **SMALL).state_dict(), weights)
    trained = weights.read_bytes()
    copy_for_label(bundle, tmp_path, SMALL)
    assert weights.read_bytes() == trained
    (bundle / "models" / "model.pt").unlink()
    copy_for_label(bundle, tmp_path, SMALL)
    assert weights.read_bytes() == trained


def test_weights_that_were_mended_are_served(bundle: Path, tmp_path: Path) -> None:
    own = bundle / "models" / "model.pt"
    good = own.read_bytes()
    torch.save(SSFormer(out_channels=3, encoder="pvt_tiny", decoder_channels=8).state_dict(), own)
    with pytest.raises(InputError, match="The file holds encoder pvt_tiny, decoder pld, decoder_channels 8"):
        copy_for_label(bundle, tmp_path / "app", SMALL)
    own.write_bytes(good)
    placed = copy_for_label(bundle, tmp_path / "app", SMALL)
    assert (placed / "models" / "model.pt").read_bytes() == good
    (placed / "models" / "model.pt").write_bytes(b"torn")
    with pytest.raises(InputError, match=r"cannot be read .* start from the bundle's own weights, delete "):
        copy_for_label(bundle, tmp_path / "app", SMALL)


def test_what_cannot_be_served_is_said_in_a_sentence(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(InputError, match="'encoders' is not a value"):
        copy_for_label(bundle, tmp_path, {"encoders": "mit_b0"})
    with pytest.raises(InputError, match=r"model\.pt"):  # the defaults are another network
        copy_for_label(bundle, tmp_path / "other")
    assert main(["serve", str(bundle), str(tmp_path), "--app", str(tmp_path / "app"), "--set", "encoder=mit_b0"]) == 1
    (bundle / "models" / "model.pt").unlink()
    with pytest.raises(InputError, match="train first"):
        copy_for_label(bundle, tmp_path / "none")
    (bundle / "configs" / "label.yaml").unlink()
    with pytest.raises(InputError, match=r"configs/label\.yaml"):
        copy_for_label(bundle, tmp_path)
    assert capsys.readouterr().err.startswith("Error: ")


def test_without_label_the_setup_is_named(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.prefix", str(tmp_path))
    values = [part for name, value in SMALL.items() for part in ("--set", f"{name}={value}")]
    assert main(["serve", str(bundle), str(tmp_path), "--app", str(tmp_path / "app"), *values]) == 1
    assert "label_server.sh" in capsys.readouterr().err
