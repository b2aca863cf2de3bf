"""The weights in the polyp bundle are those of the model card, load, and segment without an option."""

import json
import os
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from monai.data import load_net_with_metadata
from running import BUNDLES

from medseg.bundle.export import export_bundle
from medseg.bundle.monai_label import copy_for_label
from medseg.cli.main import main
from medseg.data.masks import decode_mask
from medseg.errors import InputError
from medseg.files import file_sha256
from medseg.networks import SSFormer
from medseg.networks.checkpoints import load_weights, read_facts

BUNDLE = BUNDLES / "ssformer_polyp_segmentation"
WEIGHTS = BUNDLE / "models" / "model.pt"


def test_the_file_is_that_of_the_model_card() -> None:
    card = (BUNDLE / "docs" / "model_card.md").read_text()
    assert re.findall(r"[0-9a-f]{64}", card) == [file_sha256(WEIGHTS)]
    assert WEIGHTS.stat().st_size < 10e6


def test_it_loads_as_float32_into_the_network_that_it_names() -> None:
    stored = torch.load(WEIGHTS, weights_only=True)
    assert {tensor.dtype for tensor in stored.values() if tensor.ndim > 1} == {torch.float16}
    facts = read_facts(WEIGHTS)
    names = ("encoder", "decoder", "decoder_channels", "decoder_options")
    network = SSFormer(**{name: facts["trained_with"][name] for name in names})
    load_weights(network, WEIGHTS)
    assert {tensor.dtype for tensor in network.parameters()} == {torch.float32}
    assert facts["classes"] == ["background", "polyp"]
    assert facts["history"]["pretrained"] == "imagenet"


def test_the_bundle_is_set_to_them() -> None:
    """Also where the file itself is not at hand, as beside an exported network."""
    said = read_facts(WEIGHTS)["trained_with"]
    facts = yaml.safe_load((BUNDLE / "configs" / "inference.yaml").read_text())["facts"]
    two_classes = {"classes": ["background", "polyp"], "label_values": None}  # of which the file says nothing
    assert {**facts["defaults"], **facts["absent"]} == {**two_classes, **said}
    formats = json.loads((BUNDLE / "configs" / "metadata.json").read_text())["network_data_format"]
    size = [said["image_size"]] * 2
    assert formats["inputs"]["image"]["spatial_shape"] == formats["outputs"]["pred"]["spatial_shape"] == size


@pytest.mark.slow
def test_it_is_exported_with_what_it_needs(tmp_path: Path) -> None:
    """TorchScript takes the config to places where the weights cannot be asked."""
    assert main(["export", str(BUNDLE), "--to", str(tmp_path / "out.zip"), "--no-onnx"]) == 0
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        archive.extractall(tmp_path)
    said = read_facts(WEIGHTS)["trained_with"]
    models = tmp_path / BUNDLE.name / "models"
    assert read_facts(models / "model.pt")["trained_with"] == said
    config = load_net_with_metadata(str(models / "model.ts"), more_extra_files=("inference.json",))[2]["inference.json"]
    assert json.loads(config).items() >= said.items()
    with pytest.raises(InputError, match="was trained with image_size 256, not 352"):
        export_bundle(BUNDLE, tmp_path / "other.zip", values={"image_size": 352}, onnx=False)


def test_monai_label_gets_what_it_needs(tmp_path: Path) -> None:
    placed = copy_for_label(BUNDLE, tmp_path)
    assert (placed / "models" / "model.pt").read_bytes() == WEIGHTS.read_bytes()
    said = read_facts(WEIGHTS)["trained_with"]
    for kind in ("inference", "train"):
        assert yaml.safe_load((placed / "configs" / f"{kind}.yaml").read_text()).items() >= said.items()
    with pytest.raises(InputError, match="was trained with encoder efficientnet_lite1, not mit_b0"):
        copy_for_label(BUNDLE, tmp_path, {"encoder": "mit_b0"})


def test_a_copy_keeps_what_it_says(tmp_path: Path) -> None:
    assert main(["convert", str(WEIGHTS), "--to", str(tmp_path / "copy.pt"), "--half"]) == 0
    assert read_facts(tmp_path / "copy.pt") == read_facts(WEIGHTS)
    copy, own = (torch.load(path, weights_only=True) for path in (tmp_path / "copy.pt", WEIGHTS))
    assert all(torch.equal(copy[key], own[key]) and copy[key].dtype == own[key].dtype for key in own)


@pytest.mark.slow
def test_it_segments_real_pictures_without_an_option(tmp_path: Path) -> None:
    if not os.environ.get("MEDSEG_DATA_DIR"):
        pytest.skip("MEDSEG_DATA_DIR is not set")
    data = Path(os.environ["MEDSEG_DATA_DIR"], "polyp", "clinicdb_20")
    assert main(["run", BUNDLE.name, str(data / "images"), str(tmp_path / "out"), "--device", "cpu"]) == 0
    scores = []
    for path in sorted((data / "masks").iterdir()):
        label, mask = (decode_mask(file) > 0 for file in (path, tmp_path / "out" / f"{path.stem}.png"))
        scores.append(2 * np.sum(label & mask) / max(np.sum(label) + np.sum(mask), 1))
    assert len(scores) == 20
    assert np.mean(scores) >= DICE - 0.005


DICE = 0.8175  # Dice@0.5 on these 20 images, as in the model card
