"""`python -m medseg export`: what it writes gives the same numbers, opens with MONAI's commands, and runs elsewhere."""

import json
import os
import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from monai.bundle import load, verify_net_in_out
from PIL import Image

from medseg.bundle.export import Difference, export_bundle, set_values
from medseg.cli.main import main
from medseg.errors import InputError
from medseg.networks import SSFormer
from medseg.phantoms import write_phantoms

ROOT = Path(__file__).parents[2]
NAME = "ssformer_polyp_segmentation"
BUNDLE = ROOT / "bundles" / NAME
HAS_ONNX = all(find_spec(name) for name in ("onnx", "onnxscript", "onnxruntime"))
SMALL = ["--set", "encoder=mit_b0", "--set", "decoder_channels=8", "--set", "image_size=64"]


def small_network() -> SSFormer:
    """Random weights that answer with something else than a constant, in the size of `SMALL`."""
    torch.manual_seed(1)
    return SSFormer(encoder="mit_b0", decoder_channels=8).eval()


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A zip with ONNX where its packages are installed."""
    folder = tmp_path_factory.mktemp("export")
    torch.save({"model": small_network().state_dict()}, folder / "trained.pt")
    arguments = ["export", str(BUNDLE), "--to", str(folder / "small.zip"), "--weights", str(folder / "trained.pt")]
    assert main([*arguments, *SMALL, *([] if HAS_ONNX else ["--no-onnx"])]) == 0
    return folder / "small.zip"


@pytest.fixture(scope="module")
def downloaded(exported: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle's folder after MONAI's own download of the zip into an empty folder."""
    folder = tmp_path_factory.mktemp("elsewhere")
    options = ["--name", NAME, "--url", exported.as_uri(), "--bundle_dir", str(folder)]
    done = elsewhere([sys.executable, "-m", "monai.bundle", "download", *options], folder)
    assert done.returncode == 0, done.stderr
    return folder / NAME


def elsewhere(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=3600, check=False
    )


@pytest.mark.slow
@pytest.mark.parametrize("size", [(1, 352, 352), (2, 480, 640), (3, 97, 131)])
@pytest.mark.parametrize("file", ["model.ts", "model.onnx"])
def test_exported_networks_give_the_same_logits(downloaded: Path, file: str, size: tuple[int, int, int]) -> None:
    image = torch.randn(size[0], 3, *size[1:])
    with torch.no_grad():
        wanted = small_network()(image)
        if file == "model.ts":
            given = torch.jit.load(downloaded / "models" / file)(image)
        else:
            if not HAS_ONNX:
                pytest.skip("needs the extra `export`")
            onnxruntime = pytest.importorskip("onnxruntime")
            session = onnxruntime.InferenceSession(downloaded / "models" / file)
            given = torch.from_numpy(session.run(["pred"], {"image": image.numpy()})[0])
    torch.testing.assert_close(given, wanted, rtol=0, atol=1e-4)
    assert wanted.std() > 1e-3


@pytest.mark.slow
def test_torchscript_carries_its_configs(downloaded: Path) -> None:
    files = {"metadata.json": "", "inference.json": ""}
    torch.jit.load(downloaded / "models" / "model.ts", _extra_files=files)
    formats = json.loads(files["metadata.json"])["network_data_format"]
    assert formats["inputs"]["image"]["num_channels"] == 3
    shapes = [formats["inputs"]["image"]["spatial_shape"], formats["outputs"]["pred"]["spatial_shape"]]
    assert shapes == [[64, 64], [64, 64]]  # as set, not the bundle's own
    assert json.loads(files["inference.json"])["image_size"] == 64


@pytest.mark.slow
def test_the_metadata_change_in_nothing_but_their_sizes(downloaded: Path) -> None:
    ours, theirs = ((folder / "configs" / "metadata.json").read_text() for folder in (BUNDLE, downloaded))
    assert theirs == ours.replace("256", "64")
    assert theirs.count("64") == 4
    verify_net_in_out(
        net_id="network_def",
        meta_file=str(downloaded / "configs" / "metadata.json"),
        config_file=str(downloaded / "configs" / "inference.yaml"),
        device="cpu",
    )


@pytest.mark.slow
def test_the_zip_runs_in_an_empty_folder(downloaded: Path) -> None:
    write_phantoms("polyp", downloaded.parent / "data", 2, seed=3, size=(96, 128))
    run = [sys.executable, "-m", "monai.bundle", "run", "inferring", "--config_file", "configs/inference.yaml"]
    done = elsewhere([*run, "--dataset_dir", "../data/images", "--output_dir", "../masks"], downloaded)
    assert done.returncode == 0, done.stderr
    masks = sorted((downloaded.parent / "masks").glob("*.png"))
    assert [mask.name for mask in masks] == sorted(path.name for path in (downloaded.parent / "data/images").iterdir())
    with Image.open(masks[0]) as mask:
        assert mask.size == (128, 96)


@pytest.mark.slow
def test_the_zip_loads_with_monai(downloaded: Path) -> None:
    """MONAI builds a network from `train.json` only; from other bundles it gives the weights, or TorchScript."""
    options: dict[str, Any] = {"bundle_dir": str(downloaded.parent), "source": "monaihosting"}
    image = torch.randn(1, 3, 64, 96)
    network = small_network()
    with torch.no_grad():
        wanted = network(image)
        loaded: Any = load(NAME, model_file="models/model.ts", load_ts_module=True, **options)
        scripted, metadata, _ = loaded
        torch.testing.assert_close(scripted(image), wanted)
        filled = load(NAME, model=SSFormer(encoder="mit_b0", decoder_channels=8), **options)
        torch.testing.assert_close(filled.eval()(image), wanted)
    assert metadata["name"] == "SSFormer polyp segmentation"


@pytest.mark.slow
def test_the_zip_holds_the_bundle_and_nothing_else(exported: Path) -> None:
    with zipfile.ZipFile(exported) as archive:
        names = {Path(name).relative_to(NAME) for name in archive.namelist()}
        train = yaml.safe_load(archive.read(f"{NAME}/configs/train.yaml"))
    configs = {path.relative_to(BUNDLE) for path in (BUNDLE / "configs").rglob("*.*")}
    models = {Path("models", file) for file in ("model.pt", "model.ts", *(["model.onnx"] if HAS_ONNX else []))}
    docs = {path.relative_to(BUNDLE) for path in (BUNDLE / "docs").iterdir()}
    assert {Path("docs/README.md"), Path("docs/data_license.txt")} <= docs
    assert names == configs | models | docs | {Path("LICENSE")}
    assert (train["encoder"], train["decoder_channels"], train["image_size"]) == ("mit_b0", 8, 64)


@pytest.mark.slow
@pytest.mark.skipif(not HAS_ONNX, reason="needs the extra `export`")
def test_positions_and_pooled_regions_keep_free_sizes_in_onnx(tmp_path: Path) -> None:
    """PVT's learned positions and PPD's pooling into regions are what an exporter may fix to the example's size."""
    network = SSFormer(encoder="pvt_tiny", decoder="ppd", decoder_channels=8)
    torch.save(network.state_dict(), tmp_path / "model.pt")
    values = ["--set", "encoder=pvt_tiny", "--set", "decoder=ppd", "--set", "decoder_channels=8"]
    arguments = ["export", str(BUNDLE), "--to", str(tmp_path / "a.zip"), "--weights", str(tmp_path / "model.pt")]
    assert main([*arguments, *values]) == 0


def test_a_value_below_a_component_reaches_the_network(tmp_path: Path) -> None:
    network = {"encoder": "mit_b0", "decoder": "mla", "decoder_channels": 8}
    torch.save(SSFormer(**network, decoder_options={"fuse": True}).state_dict(), tmp_path / "model.pt")
    values = {**network, "network_def::decoder_options": {"fuse": True}}
    assert export_bundle(BUNDLE, tmp_path / "a.zip", tmp_path / "model.pt", values, onnx=False)


def test_what_a_weight_file_says_is_never_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    weights = small_network().state_dict()
    code = "__import__('pathlib').Path('pwned').touch()"
    for said in (f"${code}", {"_target_": "pathlib.Path", "x": f"${code}"}):
        weights.medseg = {"trained_with": {"encoder": "mit_b0", "decoder_channels": 8, "decoder_options": said}}
        torch.save(weights, tmp_path / "model.pt")
        assert main(["export", str(BUNDLE), "--no-onnx", "--to", "a.zip", "--weights", "model.pt"]) == 1
        assert "network_def of" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["model.pt"]


ERRORS = {
    "no weights": ([], "There is no weight file"),
    "weights of another network": (["--weights", "other.pt"], "do not fit this SSFormer"),
    "no such value": (["--set", "encodr=mit_b0"], "'encodr' is not a value in the first block of 'inference.yaml'"),
    "no such encoder": (["--set", "encoder=nope"], "network_def of"),
    "no value": (["--set", "encoder"], "write --set ID=VALUE"),
    "not a zip": (["--to", "out.tar"], "must end in .zip"),
    "a file in the way": (["--to", "there.zip"], "exists already"),
}


@pytest.mark.parametrize("kind", ERRORS)
def test_a_mistake_is_one_sentence_and_no_zip(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there.zip").write_bytes(b"mine")
    torch.save(torch.nn.Conv2d(3, 1, 1).state_dict(), tmp_path / "other.pt")
    options, message = ERRORS[kind]
    if "--to" not in options:
        options = [*options, "--to", "out.zip"]
    if "--weights" not in options:
        options = [*options, "--weights", "nowhere.pt"]
    assert main(["export", str(BUNDLE), "--no-onnx", *options]) == 1
    errors = capsys.readouterr().err
    assert [line for line in errors.splitlines() if line.startswith("Error: ")] == errors.splitlines()[-1:]
    assert message in errors
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other.pt", "there.zip"]
    assert (tmp_path / "there.zip").read_bytes() == b"mine"


def test_a_network_that_is_fitted_to_each_image_is_not_exported(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    bundle = ROOT / "bundles" / "msformer_skin_lesion_segmentation"
    assert main(["export", str(bundle), "--to", str(tmp_path / "a.zip"), "--no-onnx"]) == 1
    assert "fits its network to each image" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_no_bundle(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["export", str(tmp_path), "--to", str(tmp_path / "a.zip")]) == 1
    assert "is not a bundle's folder" in capsys.readouterr().err


def test_a_missing_package_is_told_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medseg.bundle.export.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"needs onnx, onnxscript, onnxruntime: .*, or pass --no-onnx"):
        export_bundle(BUNDLE, tmp_path / "a.zip")


def test_a_difference_leaves_no_zip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medseg.bundle.export.LIMIT", -1.0)  # so that equal is not good enough
    torch.save(small_network().state_dict(), tmp_path / "model.pt")
    values = {"encoder": "mit_b0", "decoder_channels": 8}
    with pytest.raises(InputError, match=r"model.ts differs from the PyTorch network by .* at 352 x 352"):
        export_bundle(BUNDLE, tmp_path / "a.zip", tmp_path / "model.pt", values, onnx=False)
    assert [path.name for path in tmp_path.iterdir()] == ["model.pt"]


@pytest.mark.parametrize(
    ("file", "difference", "magnitude", "passes"),
    [
        ("model.ts", 9e-5, 1.0, True),
        ("model.onnx", 2e-4, 1.0, False),
        ("model.ts", 2e-4, 30.0, True),
        ("model.ts", float("nan"), 1.0, False),
    ],
)
def test_limit(file: str, difference: float, magnitude: float, passes: bool) -> None:
    assert Difference(file, (1, 8, 8), difference, magnitude).passes is passes


def test_values_are_written_and_the_rest_is_kept(tmp_path: Path) -> None:
    config = tmp_path / "inference.yaml"
    config.write_text("# a\nencoder: mit_b2   # the encoder\nsize: [1, 2]\nrate: 1\nnetwork_def:\n  _target_: A\n")
    set_values(config, {"encoder": "mit_b0", "rate": 1e-5, "size": [3, 4], "network_def::options": {"a": {"b": True}}})
    assert yaml.safe_load(config.read_text()) == {
        "encoder": "mit_b0",
        "size": [3, 4],
        "rate": 1e-5,
        "network_def": {"_target_": "A"},
        "network_def::options": {"a": {"b": True}},
    }
    assert "encoder: mit_b0   # the encoder\n" in config.read_text()
    with pytest.raises(InputError, match="'network_def' is not a value"):
        set_values(config, {"network_def": 1})
