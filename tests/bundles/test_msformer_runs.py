"""Every config of both MS-Former bundles runs, and one bad file does not stop a folder."""

import csv
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import torch
from PIL import Image
from running import run_here

from medseg.errors import InputError
from medseg.phantoms import lung_phantom, write_phantoms

pytestmark = pytest.mark.slow

SKIN, LUNG = "msformer_skin_lesion_segmentation", "msformer_lung_ct_segmentation"
FAST: dict[str, Any] = {"image_size": 65, "max_steps": 4}


def read_mask(path: Path) -> np.ndarray:
    with Image.open(path) as file:
        mask = np.asarray(file)
    assert mask.dtype == np.uint8
    assert set(np.unique(mask)) <= {0, 255}
    return mask


def dark_letter(height: int, width: int) -> np.ndarray:
    """A bold L in the middle, as no flip or turn maps it onto itself."""
    shape = np.zeros((height, width), dtype=bool)
    shape[height // 4 : height * 3 // 4, width // 4 : width // 2] = True
    shape[height // 2 : height * 3 // 4, width // 4 : width * 3 // 4] = True
    return shape


def letter_picture(height: int, width: int) -> Image.Image:
    noise = np.random.default_rng(0).normal(0, 3, (height, width, 3))
    skin = np.where(dark_letter(height, width)[..., None], [90, 60, 40], [220, 180, 160])
    return Image.fromarray((skin + noise).clip(0, 255).astype(np.uint8))


@pytest.mark.parametrize(("bundle", "kind"), [(SKIN, "lesion"), (LUNG, "lung")])
def test_training_then_evaluation_cold_and_warm(bundle: str, kind: str, tmp_path: Path) -> None:
    data = write_phantoms(kind, tmp_path / "data", 3, 0, size=(70, 94))
    places = {"ckpt_dir": str(tmp_path), "dataset_dir": str(data)}
    run_here("run", bundle, "train", "variants/smoke", output_dir=str(tmp_path / "logs"), epochs=2, **places)
    weights = torch.load(tmp_path / "model.pt", weights_only=True)
    assert all(torch.isfinite(tensor).all() for tensor in weights.values())
    assert list((tmp_path / "logs").glob("events.out.tfevents.*"))
    rows = []
    for warm in (False, True):
        out = tmp_path / f"warm_{warm}"
        run_here(
            "evaluating",
            bundle,
            *("train", "variants/smoke", "evaluate"),
            output_dir=str(out),
            warm_start=warm,
            test_sets={"all": [str(data), "train.txt"]},
            **places,
        )
        with open(out / "images.csv") as file:
            rows.append(list(csv.DictReader(file)))
        assert "oracle: " in (out / "table.md").read_text()
        assert (out / "pictures" / "overlays.png").is_file()
    for row in rows[0]:
        assert {"Dice", "HM", "XOR", "oracle_Dice", "oracle_HM", "oracle_XOR"} <= row.keys()
        dice, hm = float(row["Dice"]), float(row["HM"])
        assert dice == pytest.approx(2 * (1 - hm) / (2 - hm), abs=1e-5)
    assert rows[0] != rows[1]


@pytest.mark.parametrize("files", [("inference", "variants/smoke"), ("train", "variants/smoke", "evaluate")])
@pytest.mark.parametrize(("cut", "words"), [(True, "cannot be read"), (False, "do not fit this MSFormer")])
def test_weights_to_start_from_are_read_strictly(files: tuple[str, ...], cut: bool, words: str, tmp_path: Path) -> None:
    weights = tmp_path / "start.pt"
    torch.save({"x": torch.zeros(1)}, weights)
    if cut:
        weights.write_bytes(weights.read_bytes()[:-100])
    options = {"warm_start": True, "checkpoint": str(weights), "phantom_dir": str(tmp_path / "phantoms")}
    with pytest.raises(Exception, match="evaluate") as error:
        run_here("run", SKIN, *files, output_dir=str(tmp_path / "out"), **options)
    assert isinstance(error.value.__cause__, InputError)
    assert words in str(error.value.__cause__)
    assert not list((tmp_path / "out").glob("*.*"))


def test_lesion_masks_lie_on_the_picture(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    letter_picture(120, 170).save(tmp_path / "in" / "wide.png")
    letter_picture(170, 120).save(tmp_path / "in" / "tall.tif")
    exif = Image.Exif()
    exif[0x0112] = 6  # stored on its side
    stored = Image.fromarray(np.rot90(np.asarray(letter_picture(170, 120))))
    stored.save(tmp_path / "in" / "turned.jpg", exif=exif, quality=95)
    run_here("inferring", SKIN, "inference", dataset_dir=str(tmp_path / "in"), output_dir=str(tmp_path / "out"), **FAST)
    for name, size in {"wide": (120, 170), "tall": (170, 120), "turned": (170, 120)}.items():
        mask, truth = read_mask(tmp_path / "out" / f"{name}.png") > 0, dark_letter(*size)
        assert mask.shape == size
        assert (mask & truth).sum() / (mask | truth).sum() > 0.85, name
        with Image.open(tmp_path / "out" / "pictures" / f"{name}_clusters.png") as file:
            assert (file.mode, file.size) == ("RGB", size[::-1])


def test_odd_files_do_not_stop_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    letter_picture(90, 130).convert("L").save(folder / "gray.png")
    letter_picture(90, 130).save(folder / "plain.png")
    Image.new("RGB", (1, 1), (200, 100, 50)).save(folder / "pixel.png")
    Image.new("RGB", (64, 48), (200, 160, 140)).save(folder / "constant.bmp")
    letter_picture(300, 400).resize((4000, 3000)).save(folder / "huge.jpg")
    Image.fromarray(np.full((40, 50), np.nan, np.float32)).save(folder / "nan.tif")
    (folder / "torn.png").write_bytes((folder / "plain.png").read_bytes()[:300])
    with pytest.raises(RuntimeError) as raised:
        run_here("inferring", SKIN, "inference", dataset_dir=str(folder), output_dir=str(tmp_path / "out"), **FAST)
    cause = raised.value.__cause__
    assert isinstance(cause, InputError)
    assert "2 of 7 cases failed" in str(cause)
    assert "nan.tif" in str(cause)
    assert "torn.png" in str(cause)
    sizes = {"gray": (90, 130), "plain": (90, 130), "pixel": (1, 1), "constant": (48, 64), "huge": (3000, 4000)}
    masks = {name: read_mask(tmp_path / "out" / f"{name}.png") for name in sizes}
    assert {name: mask.shape for name, mask in masks.items()} == sizes
    assert [name for name, mask in masks.items() if not mask.any()] == ["pixel", "constant"]


def test_volumes_keep_their_geometry_and_a_bad_slice_stays_empty(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    slices = [lung_phantom(index, (100, 124), 0) for index in range(3)]
    units = np.stack([picture[..., 0] / 255.0 * 2000 - 1000 for picture, _ in slices], axis=0)  # (D, H, W)
    units[1, 5, 6] = np.nan
    # slices along the first axis of the file, the patient upside down in it
    affine = np.array([[0, 0, -2.0, 10], [0, 3.0, 0, -5], [5.0, 0, 0, 7], [0, 0, 0, 1]])
    nibabel.save(nibabel.Nifti1Image(units.astype(np.float32), affine), folder / "chest.nii.gz")
    (folder / "broken.nii").write_bytes(b"no volume")
    with pytest.raises(RuntimeError) as raised:
        run_here(
            "inferring",
            LUNG,
            *("inference", "inference_volumes"),
            dataset_dir=str(folder),
            output_dir=str(tmp_path / "out"),
            image_size=97,
            max_steps=4,
        )
    assert "broken.nii cannot be read" in str(raised.value.__cause__)
    written = nibabel.load(tmp_path / "out" / "chest.nii.gz")
    mask = np.asarray(written.dataobj)
    assert mask.shape == units.shape
    assert mask.dtype == np.uint8
    np.testing.assert_allclose(written.affine, affine)
    assert not mask[1].any()
    for index in (0, 2):
        truth = slices[index][1] > 0
        turns = [mask[index] > 0, mask[index, ::-1] > 0, mask[index, :, ::-1] > 0]
        overlaps = [(turned & truth).sum() / (turned | truth).sum() for turned in turns]
        # four steps make rough masks; what counts is that none of the flipped ones fits nearly as well
        assert overlaps[0] > 0.65
        assert overlaps[0] > max(overlaps[1:]) + 0.05
    assert nibabel.load(tmp_path / "out" / "chest_clusters.nii.gz").shape == units.shape


def test_published_setting_evaluates(tmp_path: Path) -> None:
    data = write_phantoms("lesion", tmp_path / "data", 2, 0, size=(64, 80))
    run_here(
        "evaluating",
        SKIN,
        *("train", "evaluate", "variants/published"),
        dataset_dir=str(data),
        output_dir=str(tmp_path / "out"),
        image_size=33,
        max_steps=2,
        skip_label_zero=True,
    )
    assert (tmp_path / "out" / "table.csv").is_file()
