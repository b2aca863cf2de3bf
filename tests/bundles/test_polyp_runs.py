"""Every config of the polyp bundle runs: trained small, evaluated, resumed, exported to masks."""

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser
from PIL import Image
from running import BUNDLES, command, config_files, run_command, run_here

from medseg import __version__
from medseg.errors import InputError
from medseg.networks.checkpoints import read_facts
from medseg.phantoms import write_phantoms

BUNDLE = "ssformer_polyp_segmentation"
SMALL = ("train", "variants/smoke")
NETWORK = {"encoder": "mit_b0", "decoder_channels": 16, "image_size": 64}


def files_under(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with model.pt and checkpoint.pt of one small run by the default id."""
    folder = tmp_path_factory.mktemp("trained")
    run_here("run", BUNDLE, *SMALL, output_dir=str(folder), ckpt_dir=str(folder))
    return folder


@pytest.mark.slow
def test_training_writes_weights_and_curves(trained: Path) -> None:
    weights = torch.load(trained / "model.pt", weights_only=True)
    assert all(isinstance(tensor, torch.Tensor) for tensor in weights.values())
    facts = read_facts(trained / "model.pt")
    assert facts["trained_with"].items() >= {**NETWORK, "decoder": "pld", "mean": [0.485, 0.456, 0.406]}.items()
    assert facts["history"].items() >= {"data": "phantoms", "pretrained": None, "epochs": 1, "seed": 0}.items()
    assert (facts["classes"], facts["medseg"]) == (["background", "polyp"], __version__)
    assert 0 <= facts["score"] <= 1
    last = torch.load(trained / "checkpoint.pt", weights_only=True)
    assert last.keys() == {"model", "average", "optimizer", "lr_scheduler", "trainer", "best", "early_stop"}
    assert list(trained.glob("events.out.tfevents.*"))
    assert len(list((trained / "phantoms" / "images").iterdir())) == 15


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["ssformer_s", "ssformer_l", "published", "lite"])
def test_variants_train(variant: str, tmp_path: Path) -> None:
    encoder = {"ssformer_l": "mit_b4", "lite": "efficientnet_lite1"}.get(variant, "mit_b2")
    files = config_files(BUNDLE, "train", f"variants/{variant}")
    assert ConfigParser.load_config_files(files)["encoder"] == encoder
    smaller = {"epochs": 1, "batch_size": 2, "phantoms": 5, "val_fraction": 0.5, "image_size": 64, "pretrained": None}
    run_here(
        "training", BUNDLE, "train", f"variants/{variant}", output_dir=str(tmp_path), ckpt_dir=str(tmp_path), **smaller
    )
    keys = torch.load(tmp_path / "model.pt", weights_only=True).keys()
    blocks = max(int(key.split(".")[4]) for key in keys if key.startswith("encoder.stages.2.blocks."))
    assert blocks + 1 == {"mit_b2": 6, "mit_b4": 27, "efficientnet_lite1": 8}[encoder]


@pytest.mark.slow
def test_evaluation_of_two_sets(trained: Path, tmp_path: Path) -> None:
    pytest.importorskip("py_sod_metrics")
    first, second = (write_phantoms("polyp", tmp_path / name, 10, seed) for name, seed in (("a", 1), ("b", 2)))
    run_here(
        "evaluating",
        BUNDLE,
        "train",
        "evaluate",
        output_dir=str(tmp_path / "out"),
        ckpt_dir=str(trained),
        phantom_dir=str(trained / "phantoms"),
        phantoms=15,
        test_sets={"first": str(first), "second": [str(second), "train.txt"]},
        report=True,
    )
    with open(tmp_path / "out" / "table.csv") as file:
        table = {row["set"]: row for row in csv.DictReader(file)}
    assert {name: int(row["images"]) for name, row in table.items()} == {"first": 2, "second": 8, "all images": 10}
    with open(tmp_path / "out" / "images.csv") as file:
        dice = [float(row["Dice@0.5"]) for row in csv.DictReader(file)]
    assert float(table["all images"]["Dice@0.5"]) == pytest.approx(np.mean(dice), abs=1e-5)
    written = files_under(tmp_path / "out")
    assert {"val_mean_dice_raw.csv", "metrics.csv", "pictures/overlays.png", "report.html"} <= set(written)
    for name, count in (("first", 2), ("second", 8)):
        assert len([path for path in written if path.startswith(f"pictures/{name}/")]) == count
    assert (tmp_path / "out" / "report.html").read_text().count("data:image/jpeg;base64") == 10


@pytest.mark.slow
def test_inference_skips_broken_files_and_says_so(trained: Path, tmp_path: Path) -> None:
    pictures = tmp_path / "in"
    pictures.mkdir()
    rng = np.random.default_rng(0)
    for name, size in (("good", (70, 101)), ("one_pixel", (1, 1)), ("long", (9, 400))):
        Image.fromarray(rng.integers(0, 255, (*size, 3), dtype=np.uint8)).save(pictures / f"{name}.png")
    (pictures / "cut.png").write_bytes((pictures / "good.png").read_bytes()[:300])
    (pictures / "text.jpg").write_text("not a picture")
    options = {"dataset_dir": pictures, "output_dir": tmp_path / "out", "ckpt_dir": trained}
    result = run_command("inferring", BUNDLE, "inference", save_probabilities=True, report=True, **options)
    assert result.returncode == 1
    told = result.stderr.strip().splitlines()[-3:]
    assert told[0].startswith("Error: 2 of 5 cases failed")
    assert "cut.png" in told[1]
    assert "text.jpg" in told[2]
    assert "Traceback" not in result.stderr
    masks = {path.name: Image.open(path).size for path in (tmp_path / "out").glob("*.png")}
    sizes = {"good": (101, 70), "one_pixel": (1, 1), "long": (400, 9)}
    assert masks == {f"{name}{end}": size for name, size in sizes.items() for end in (".png", "_probability.png")}
    with Image.open(tmp_path / "out" / "good_probability.png") as file:
        assert np.asarray(file).max() > 255  # 16 bits
    report = (tmp_path / "out" / "report.html").read_text()
    assert [name in report for name in ("cut.png", "text.jpg", "SSFormer polyp segmentation")] == [True] * 3


@pytest.mark.slow
def test_inference_of_one_file_leaves_nothing_else(trained: Path, tmp_path: Path) -> None:
    Image.new("RGB", (80, 64)).save(tmp_path / "one.bmp")
    options = {"dataset_dir": str(tmp_path / "one.bmp"), "output_dir": str(tmp_path / "out"), **NETWORK}
    run_here("run", BUNDLE, "inference", ckpt_dir=str(trained), **options)
    tables, pictures = ["measurements.csv", "measurements.json"], ["pictures/one.png", "pictures/overlays.png"]
    written = [*tables, "one.png", *pictures, "records/one.json", "settings.json"]
    assert files_under(tmp_path / "out") == written


@pytest.mark.slow
def test_masks_never_replace_their_images(trained: Path, tmp_path: Path) -> None:
    Image.new("RGB", (80, 64)).save(tmp_path / "one.png")
    before = (tmp_path / "one.png").read_bytes()
    with pytest.raises(Exception, match="evaluate") as error:
        run_here(
            "run",
            BUNDLE,
            "inference",
            dataset_dir=str(tmp_path),
            output_dir=str(tmp_path),
            ckpt_dir=str(trained),
            **NETWORK,
        )
    assert "choose another folder" in str(error.value.__cause__)
    assert (tmp_path / "one.png").read_bytes() == before


@pytest.mark.slow
def test_only_broken_files_is_an_error_of_its_own(trained: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "text.png").write_text("not a picture")
    options = {"dataset_dir": tmp_path / "in", "output_dir": tmp_path / "out", "ckpt_dir": trained, **NETWORK}
    result = run_command("inferring", BUNDLE, "inference", **options)
    assert result.returncode == 1
    assert "\nError: 1 of 1 cases failed" in result.stderr
    assert "text.png" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.slow
def test_resume_continues_where_it_stopped(trained: Path, tmp_path: Path) -> None:
    (tmp_path / "checkpoint.pt").write_bytes((trained / "checkpoint.pt").read_bytes())
    run_here("training", BUNDLE, *SMALL, "resume", epochs=3, output_dir=str(tmp_path), ckpt_dir=str(tmp_path))
    first, last = (torch.load(folder / "checkpoint.pt", weights_only=True) for folder in (trained, tmp_path))
    steps = first["trainer"]["iteration"]
    assert (first["trainer"]["epoch_length"], last["trainer"]["iteration"]) == (steps, 3 * steps)
    assert last["lr_scheduler"]["last_epoch"] == 3
    assert last["optimizer"]["state"][0]["step"] == 3 * steps
    if (tmp_path / "model.pt").is_file():  # it got better
        assert read_facts(tmp_path / "model.pt")["history"]["epochs"] == 3
    with pytest.raises(Exception, match="evaluate") as error:
        run_here("training", BUNDLE, *SMALL, "resume", ckpt_dir=str(tmp_path / "none"), output_dir=str(tmp_path))
    assert "There is no checkpoint" in str(error.value.__cause__)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"epoch": 3}, "--epoch is not in the config: did you mean --epochs?"),
        ({"amp": "false"}, "--amp must be True or False, got 'false'"),
        ({"bundle_root": "/nowhere"}, "bundle_root '/nowhere' is not a bundle's folder"),
        ({"dataset_dir": "/nowhere"}, "The dataset folder /nowhere does not exist"),
    ],
)
def test_one_sentence_and_nothing_written(overrides: dict, message: str, tmp_path: Path) -> None:
    result = run_command("training", BUNDLE, *SMALL, **{"output_dir": tmp_path, "ckpt_dir": tmp_path, **overrides})
    assert result.returncode == 1
    assert result.stderr.strip().splitlines()[-1].startswith(f"Error: {message}")
    assert "Traceback" not in result.stderr
    assert files_under(tmp_path) == []


@pytest.mark.slow
def test_bad_pairs_are_all_named(tmp_path: Path) -> None:
    data = write_phantoms("polyp", tmp_path / "data", 6, seed=0, size=(64, 80))
    stems = sorted(path.stem for path in (data / "images").iterdir())
    Image.new("L", (10, 10)).save(data / "masks" / f"{stems[0]}.png")
    (data / "images" / f"{stems[1]}.png").write_text("broken")
    for file in data.glob("*.txt"):
        file.unlink()
    folders = {"dataset_dir": str(data), "output_dir": str(tmp_path / "o"), "ckpt_dir": str(tmp_path / "c")}
    with pytest.raises(Exception, match="evaluate") as error:
        run_here("training", BUNDLE, *SMALL, **folders)
    cause = error.value.__cause__
    assert isinstance(cause, InputError)
    assert stems[0] in str(cause)
    assert stems[1] in str(cause)
    assert not (tmp_path / "o").exists()
    assert not (tmp_path / "c").exists()


@pytest.mark.slow
def test_weights_that_say_nothing_need_the_options(trained: Path, tmp_path: Path) -> None:
    """As those of other programs; the result is the same as with what the weights say."""
    torch.save(dict(torch.load(trained / "model.pt", weights_only=True)), tmp_path / "model.pt")
    Image.effect_noise((90, 70), 80).convert("RGB").save(tmp_path / "one.png")
    masks = []
    for name, folder, options in (("said", trained, {}), ("plain", tmp_path, NETWORK)):
        out = tmp_path / name
        places = {"dataset_dir": str(tmp_path / "one.png"), "ckpt_dir": str(folder), "output_dir": str(out)}
        run_here("run", BUNDLE, "inference", **places, **options, save_probabilities=True)
        masks.append((out / "one_probability.png").read_bytes())
    assert masks[0] == masks[1]
    with pytest.raises(Exception, match="evaluate") as error:
        run_here("run", BUNDLE, "inference", **{**places, "output_dir": str(tmp_path / "o")})
    assert "do not fit this SSFormer, check its encoder" in str(error.value.__cause__)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [("inference",), ("train", "evaluate")])
@pytest.mark.parametrize("override", [{"image_size": 352}, {"encoder": "mit_b2"}, {"std": [1.0, 1.0, 1.0]}])
def test_values_that_contradict_the_weights_are_refused(
    kind: tuple[str, ...], override: dict, trained: Path, tmp_path: Path
) -> None:
    folders = {"ckpt_dir": str(trained), "output_dir": str(tmp_path), "phantom_dir": str(trained / "phantoms")}
    with pytest.raises(Exception, match="evaluate") as error:
        run_here("run", BUNDLE, *kind, **folders, **override, phantoms=15)
    ((name, value),) = override.items()
    assert f"was trained with {name}" in str(error.value.__cause__)
    assert f"not {value}: leave {name} out" in str(error.value.__cause__)
    assert files_under(tmp_path) == []


@pytest.mark.slow
def test_training_does_not_replace_weights_of_another_run(trained: Path, tmp_path: Path) -> None:
    before = (trained / "model.pt").read_bytes()
    with pytest.raises(Exception, match="evaluate") as error:
        run_here("training", BUNDLE, *SMALL, output_dir=str(tmp_path), ckpt_dir=str(trained))
    assert "holds model.pt and checkpoint.pt of another run" in str(error.value.__cause__)
    assert (trained / "model.pt").read_bytes() == before


@pytest.mark.slow
def test_training_keeps_its_weights_with_its_results(tmp_path: Path) -> None:
    shipped = (BUNDLES / BUNDLE / "models" / "model.pt").read_bytes()
    run_here("training", BUNDLE, *SMALL, output_dir=str(tmp_path))
    assert read_facts(tmp_path / "models" / "model.pt")["trained_with"]["image_size"] == 64
    assert (BUNDLES / BUNDLE / "models" / "model.pt").read_bytes() == shipped


def test_commands_of_the_documentation_exist() -> None:
    """Every `configs/...` path in a config's head comment and in the bundle's README is a file."""
    texts = [path.read_text() for path in (BUNDLES / BUNDLE).rglob("*") if path.suffix in (".yaml", ".md")]
    named = {part.strip("'\"[],`") for text in texts for part in text.replace("','", " ").split() if "configs/" in part}
    paths = {name[name.index("configs/") :] for name in named if name.endswith(".yaml")}
    assert paths
    assert [path for path in sorted(paths) if not (BUNDLES / BUNDLE / path).is_file()] == []
    assert command("run", BUNDLE, "train")[1:3] == ["run", "run"]
