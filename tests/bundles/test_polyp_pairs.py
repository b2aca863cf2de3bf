"""Any encoder with any decoder, by name on the polyp bundle's command line."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from running import run_here

from medseg.cli.main import main
from medseg.networks import SSFormer

pytestmark = pytest.mark.slow

BUNDLE = "ssformer_polyp_segmentation"


@pytest.mark.parametrize(("encoder", "decoder"), [("pvt_v2_b0", "pup"), ("shunted_tiny", "ppd"), ("cvt_13", "mla")])
def test_a_pair_trains_and_predicts(encoder: str, decoder: str, tmp_path: Path) -> None:
    pair = {"encoder": encoder, "decoder": decoder, "decoder_channels": 8, "image_size": 64}
    if decoder == "mla":  # an argument that the config does not have
        pair["network_def::decoder_options"] = {"fuse": True}
    run_here(
        "training",
        BUNDLE,
        "train",
        "variants/smoke",
        output_dir=str(tmp_path),
        ckpt_dir=str(tmp_path),
        phantoms=5,
        val_fraction=0.5,
        **pair,
    )
    fused = "decoder.fuse.conv.weight" in torch.load(tmp_path / "model.pt", weights_only=True)
    assert fused == (decoder == "mla")
    pictures = tmp_path / "phantoms" / "images"
    run_here(
        "inferring",
        BUNDLE,
        "inference",
        dataset_dir=str(pictures),
        output_dir=str(tmp_path / "masks"),
        ckpt_dir=str(tmp_path),
        **pair,
    )
    masks = sorted((tmp_path / "masks").glob("*.png"))
    assert len(masks) == 5
    for mask, picture in zip(masks, sorted(pictures.iterdir()), strict=True):
        assert Image.open(mask).size == Image.open(picture).size
        assert set(np.unique(np.asarray(Image.open(mask)))) <= {0, 255}


def test_converted_weights_start_a_run(tmp_path: Path) -> None:
    source = SSFormer(encoder="mit_b0", decoder="pup", decoder_channels=8)
    torch.save(source.state_dict(), tmp_path / "theirs.pth")
    assert main(["convert", str(tmp_path / "theirs.pth"), "--to", str(tmp_path / "start.pt"), "--encoder-only"]) == 0
    run_here(
        "training",
        BUNDLE,
        "train",
        "variants/smoke",
        output_dir=str(tmp_path),
        ckpt_dir=str(tmp_path),
        phantoms=5,
        val_fraction=0.5,
        learning_rate=1e-12,
        weight_decay=0.0,
        pretrained=str(tmp_path / "start.pt"),
    )
    trained = torch.load(tmp_path / "model.pt", weights_only=True)
    started = source.state_dict()
    key = "encoder.stages.1.blocks.0.mlp.fc1.weight"
    torch.testing.assert_close(trained[key], started[key], atol=1e-6, rtol=0)
