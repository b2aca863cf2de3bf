"""The round of an annotator with a real MONAI Label server on loopback: segment, correct, train, segment again."""

import base64
import hashlib
import json
import math
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import detector
import nibabel as nib
import numpy as np
import pytest
import torch
import yaml
from known_answer import BrightIsForeground
from known_lungs import DarkIsLung
from label_client import LABEL_ENV, ROOT, LabelClient, label_server, read_nrrd
from monai.bundle import run
from PIL import Image, ImageDraw

from medseg.bundle.monai_label import copy_for_label
from medseg.networks import SSFormer
from medseg.phantoms import write_phantoms

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (LABEL_ENV / "monailabel").is_dir(),
        reason=f"MONAI Label is not set up in '{LABEL_ENV}': bash scripts/label_setup.sh {LABEL_ENV}",
    ),
]
SMALL = {"encoder": "mit_b0", "decoder_channels": 16, "image_size": 64}
QUICK = {**SMALL, "learning_rate": 0.01, "warmup_epochs": 0}


def trained(name: str, folder: Path, channels: int) -> Path:
    """A copy of a bundle with weights of the size of `SMALL`."""
    copy = shutil.copytree(ROOT / "bundles" / name, folder / name, ignore=shutil.ignore_patterns("models", "eval"))
    (copy / "models").mkdir()
    torch.manual_seed(0)
    network = SSFormer(out_channels=channels, encoder="mit_b0", decoder_channels=16)
    torch.save({"model": network.state_dict()}, copy / "models" / "model.pt")
    return copy


def known(bundle: Path, network: torch.nn.Module, values: dict[str, Any]) -> Path:
    """A copy of a bundle with a network whose answer is known, and other values in its config."""
    copy = shutil.copytree(bundle, bundle.with_name(f"known_{bundle.name}"))
    torch.save(network.state_dict(), copy / "models" / "model.pt")
    config = copy / "configs" / "inference.yaml"
    content = yaml.safe_load(config.read_text()) | values
    kind = type(network)
    content["network_def"] = {"_target_": f"{kind.__module__}.{kind.__name__}"}
    config.write_text(yaml.safe_dump(content))
    return copy


def options(app: Path, values: dict[str, Any], models: list[Path], name: str) -> list[str]:
    """Options of the script: several models, one of them for scoring too."""
    settings = [("models", ",".join(model.name for model in models)), ("epistemic_model", name)]
    given = ["--app", str(app)]
    given += [part for key, value in values.items() for part in ("--set", f"{key}={value}")]
    return given + [part for key, value in settings for part in ("--conf", key, value)]


def by_our_own_inference(bundle: Path, values: dict[str, Any], weights: Path, study: Path, out: Path) -> Path:
    """The mask that the bundle itself, not Label's copy, makes with some weights."""
    shutil.rmtree(out, ignore_errors=True)
    run(
        "inferring",
        config_file=str(bundle / "configs" / "inference.yaml"),
        meta_file=str(bundle / "configs" / "metadata.json"),
        logging_file=False,
        bundle_root=str(bundle),
        dataset_dir=str(study),
        output_dir=str(out),
        checkpoint=str(weights),
        device="cpu",
        **values,
    )
    return next(path for path in out.iterdir() if path.name.startswith(study.name.split(".")[0]))


def check_training_and_scoring(
    client: LabelClient, name: str, bundle: Path, app: Path, values: dict[str, Any], study: Path, read: Any
) -> None:
    """The second half of a round: train, infer again, score, label the rest."""
    image, weights, work = study.name.split(".")[0], app / "model" / name / "models" / "model.pt", app.parent
    before = client.infer(name, image, work)[0]
    own = read(by_our_own_inference(bundle, values, weights, study, work / "own"))
    assert np.mean(read(before) != own) < 1e-3  # volumes: another order of rounding
    first, checksum = read(before).copy(), client.get(f"/model/info/{name}")["checksum"]
    assert checksum == f"SHA256:{hashlib.sha256(weights.read_bytes()).hexdigest()}"

    task = client.train(name, max_epochs=1, val_split=0.4, device="cpu")
    assert task["status"] == "DONE", "\n".join(task["details"])
    assert client.get(f"/model/info/{name}")["checksum"] != checksum
    after = read(client.infer(name, image, work)[0])
    own = read(by_our_own_inference(bundle, values, weights, study, work / "own"))
    assert np.mean(after != own) < 1e-3
    assert np.mean(first != own) > 5e-3  # it is the new weights that it answers with

    one = {"device": "cpu", "max_workers": 1}  # MONAI Label's threads share one config parser, and can fail
    scored = client.post(f"/scoring/{name}?run_sync=true", {"simulation_size": 2, **one})
    unlabeled = client.get("/datastore/?output=all")["objects"]
    unlabeled = {key: value for key, value in unlabeled.items() if "final" not in value["labels"]}
    assert scored["executed"] == len(unlabeled) > 0
    entropies = [value["image"]["info"]["epistemic_entropy"] for value in unlabeled.values()]
    assert all(math.isfinite(entropy) and entropy > 0 for entropy in entropies), entropies

    client.post(f"/batch/infer/{name}?images=unlabeled&run_sync=true", {**one, "multi_gpu": False})
    objects = client.get("/datastore/?output=all")["objects"]
    assert all("original" in objects[key]["labels"] for key in unlabeled)
    assert client.post("/activelearning/random")["id"] in unlabeled


def letter(height: int, width: int) -> np.ndarray:
    """A bold L with its foot on the right, which no flip or turn maps onto itself: bool `[height, width]`."""
    shape = np.zeros((height, width), dtype=bool)
    shape[height // 8 : height * 7 // 8, width // 8 : width // 3] = True
    shape[height * 5 // 8 : height * 7 // 8, width // 8 : width * 7 // 8] = True
    return shape


def iou(one: np.ndarray, other: np.ndarray) -> float:
    return float((one & other).sum() / (one | other).sum())


def read_picture(path: Path) -> np.ndarray:
    """Foreground of a mask: bool `[H, W]`."""
    with Image.open(path) as file:
        pixels = np.asarray(file)
    assert pixels.ndim == 2
    assert pixels.dtype == np.uint8
    return pixels > 0


def read_polygons(client: LabelClient, model: str, studies: Path, study: str) -> np.ndarray:
    """What CVAT draws of a picture, by the function that it would run."""
    picture = next(studies.glob(f"{study}.*"))
    context = SimpleNamespace(user_data=SimpleNamespace(), Response=SimpleNamespace)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MONAI_LABEL_SERVER", client.address)
        patch.setenv("MONAI_LABEL_MODEL", model)
        detector.init_context(context)
    body = {"image": base64.b64encode(picture.read_bytes())}
    found = json.loads(detector.handler(context, SimpleNamespace(body=body)).body)
    with Image.open(picture) as file:
        drawn = Image.new("1", file.size)
    for part in found:
        assert part["label"] == "polyp"
        ImageDraw.Draw(drawn).polygon(part["points"], fill=1)
    return np.asarray(drawn)


def test_pictures(tmp_path: Path) -> None:
    name = "ssformer_polyp_segmentation"
    phantoms, studies, app = (
        write_phantoms("polyp", tmp_path / "phantoms", 6, seed=0),
        tmp_path / "st",
        tmp_path / "app",
    )
    studies.mkdir()
    for path in sorted(Path(phantoms).rglob("images/*")):
        shutil.copy(path, studies)
    drawn = {path.stem: path for path in Path(phantoms).rglob("masks/*")}
    picture = np.where(letter(90, 150), 220, 40).astype(np.uint8)
    Image.fromarray(picture).convert("RGB").save(studies / "drawn_png.png")
    Image.fromarray(picture.T).convert("RGB").save(studies / "drawn_jpg.jpg", quality=95)

    bundle = trained(name, tmp_path, channels=1)
    answering = known(bundle, BrightIsForeground(), {"image_size": 64})
    copy_for_label(answering, app)
    given = options(app, QUICK, [bundle, answering], name)
    with label_server(bundle, studies, tmp_path / "server.log", given) as client:
        info = client.get("/info/")
        assert info["models"][name]["labels"] == {"polyp": 1}
        assert info["models"][name]["dimension"] == 2
        assert name in info["trainers"]
        assert set(info["scoring"]) == {name}

        for study, truth in (("drawn_png", letter(90, 150)), ("drawn_jpg", letter(90, 150).T)):
            file, told = client.infer(answering.name, study, tmp_path)
            assert told["label_names"] == {"polyp": 1}
            assert read_picture(file).shape == truth.shape
            assert iou(read_picture(file), truth) > 0.9
            in_slicer = read_nrrd(client.mask(answering.name, study, result_extension=".nrrd", result_dtype="uint8"))
            assert np.array_equal(in_slicer.T > 0, read_picture(file))
            in_cvat = read_polygons(client, answering.name, studies, study)
            assert iou(in_cvat, truth) > 0.9

        for stem in sorted(drawn)[:5]:
            mask = tmp_path / f"{stem}_by_hand.png"
            Image.fromarray(read_picture(drawn[stem]).astype(np.uint8)).save(mask)  # 0 and 1, as a viewer saves it
            client.save_label(stem, mask)
        assert client.get("/info/")["datastore"]["completed"] == 5
        next_study = next(studies.glob(f"{sorted(drawn)[5]}.*"))
        check_training_and_scoring(client, name, bundle, app, SMALL, next_study, read_picture)

        task = client.train(name, max_epochs=1, val_split=0, device="cpu")  # would train and save nothing
        assert task["status"] == "ERROR"
        assert "is empty" in "\n".join(task["details"])


def chest(codes: str) -> tuple[np.ndarray, nib.Nifti1Image]:
    """Two boxes of air in soft tissue, unlike in size: truth `[X, Y, Z]` and volume, stored in some axis order."""
    truth = np.zeros((40, 32, 12), dtype=np.uint8)  # in RAS: right lung (2) at high x
    truth[4:16, 6:24, 2:9] = 1
    truth[24:37, 10:28, 3:11] = 2
    volume = nib.Nifti1Image(np.where(truth > 0, -900, 40).astype(np.int16), np.diag([4.0, 4.0, 6.0, 1.0]))
    order = nib.orientations.ornt_transform(nib.orientations.axcodes2ornt("RAS"), nib.orientations.axcodes2ornt(codes))
    turned = volume.as_reoriented(order)
    assert "".join(nib.aff2axcodes(turned.affine)) == codes
    return nib.orientations.apply_orientation(truth, order).astype(np.uint8), turned


def read_volume(path: Path) -> np.ndarray:
    return np.asarray(nib.load(path).dataobj)


def test_volumes(tmp_path: Path) -> None:
    name = "ssformer_lung_ct_segmentation"
    phantoms = write_phantoms("lung_volume", tmp_path / "phantoms", 6, 0, (40, 36, 12))
    studies, app = tmp_path / "st", tmp_path / "app"
    shutil.copytree(phantoms / "images", studies)
    truths = {}
    for codes in ("LPS", "RAS", "PIR"):
        truths[codes], volume = chest(codes)
        nib.save(volume, studies / f"chest_{codes}.nii.gz")

    bundle = trained(name, tmp_path, channels=3)
    coarse = {"spacing": [5.0, 5.0, 8.0]}
    answering = known(bundle, DarkIsLung(), {"image_size": 64, **coarse})
    copy_for_label(answering, app)
    given = options(app, {**QUICK, **coarse, "batch_size": 1, "learning_rate": 0.05}, [bundle, answering], name)
    with label_server(bundle, studies, tmp_path / "server.log", given) as client:
        info = client.get("/info/")
        assert info["models"][name]["labels"] == {"left lung": 1, "right lung": 2}
        assert info["models"][name]["dimension"] == 3

        for codes, truth in truths.items():
            file, told = client.infer(answering.name, f"chest_{codes}", tmp_path)
            assert told["label_names"] == {"left lung": 1, "right lung": 2}
            assert read_volume(file).shape == truth.shape
            scan = nib.load(studies / f"chest_{codes}.nii.gz")
            assert np.allclose(nib.load(file).affine, scan.affine, atol=1e-3)
            in_slicer = client.mask(answering.name, f"chest_{codes}", result_extension=".nrrd", result_dtype="uint8")
            assert np.array_equal(read_nrrd(in_slicer), read_volume(file))
            for label in (1, 2):
                assert iou(read_volume(file) == label, truth == label) > 0.9, (codes, label)

        for path in sorted((phantoms / "labels").iterdir())[:5]:
            drawn = nib.load(path)
            lobes = np.asarray(drawn.dataobj)
            sides = 1 * np.isin(lobes, (10, 11)) + 2 * np.isin(lobes, (12, 13, 14))
            mask = tmp_path / f"drawn_{path.name}"
            nib.save(nib.Nifti1Image(sides.astype(np.uint8), drawn.affine), mask)
            client.save_label(path.name.split(".")[0], mask)
        study = sorted(studies.glob("lung_volume*"))[5]
        check_training_and_scoring(client, name, bundle, app, {**SMALL, **coarse}, study, read_volume)
