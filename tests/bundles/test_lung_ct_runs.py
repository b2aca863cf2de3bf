"""Every config of the lung CT bundle runs on small volumes, and label maps lie on the anatomy."""

import csv
import json
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import torch
import yaml
from monai.transforms import Compose
from nibabel.orientations import axcodes2ornt, io_orientation, ornt_transform
from running import BUNDLES, run_here, workflow_of
from scipy import ndimage

from medseg.errors import InputError
from medseg.inferers.context_slices import neighbor_slices
from medseg.phantoms import write_phantoms

BUNDLE = "ssformer_lung_ct_segmentation"
SMALL = ("train", "variants/smoke")
COARSE: dict[str, Any] = {"spacing": [5.0, 5.0, 8.0], "image_size": 64}
NETWORK: dict[str, Any] = {"encoder": "mit_b0", "decoder_channels": 16, **COARSE}
TINY = (40, 36, 12)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with model.pt and checkpoint.pt of one small run by the default id."""
    folder = tmp_path_factory.mktemp("trained")
    run_here("run", BUNDLE, *SMALL, output_dir=str(folder), ckpt_dir=str(folder))
    return folder


@pytest.mark.slow
def test_training_writes_weights_and_curves(trained: Path) -> None:
    weights = torch.load(trained / "model.pt", weights_only=True)
    assert all(torch.isfinite(tensor).all() for tensor in weights.values())
    last = torch.load(trained / "checkpoint.pt", weights_only=True)
    assert last.keys() == {"model", "optimizer", "lr_scheduler", "trainer", "best", "early_stop"}
    assert list(trained.glob("events.out.tfevents.*"))
    assert len(list((trained / "phantoms" / "labels").glob("*.nii.gz"))) == 6


@pytest.mark.slow
def test_resume_continues_where_it_stopped(trained: Path, tmp_path: Path) -> None:
    (tmp_path / "checkpoint.pt").write_bytes((trained / "checkpoint.pt").read_bytes())
    run_here("training", BUNDLE, *SMALL, "resume", epochs=2, output_dir=str(tmp_path), ckpt_dir=str(tmp_path))
    first, last = (torch.load(folder / "checkpoint.pt", weights_only=True) for folder in (trained, tmp_path))
    assert last["trainer"]["iteration"] == 2 * first["trainer"]["iteration"] > 0


@pytest.mark.slow
def test_evaluation_of_two_sets(trained: Path, tmp_path: Path) -> None:
    first, second = (write_phantoms("lung_volume", tmp_path / n, 3, i, TINY) for i, n in enumerate("ab"))
    run_here(
        "evaluating",
        BUNDLE,
        *SMALL,
        "evaluate",
        output_dir=str(tmp_path / "out"),
        ckpt_dir=str(trained),
        phantom_dir=str(trained / "phantoms"),
        test_sets={"first": str(first), "second": [str(second), "train.txt"]},
        report=True,
    )
    with open(tmp_path / "out" / "table.csv") as file:
        table = {row["set"]: row for row in csv.DictReader(file)}
    assert {name: int(row["images"]) for name, row in table.items()} == {"first": 1, "second": 2, "all images": 3}
    with open(tmp_path / "out" / "images.csv") as file:
        cases = list(csv.DictReader(file))
    assert (tmp_path / "out" / "report.html").read_text().count("data:image/jpeg;base64") == 3
    assert [Path(case["image"]).name for case in cases] == [f"lung_volume_0000{n}.nii.gz" for n in (2, 0, 1)]
    for side in ("left", "right"):
        assert {f"{name}_{side}" for name in ("Dice", "IoU", "HD95", "surface_Dice")} <= cases[0].keys()
        for case in cases:
            dice, iou = float(case[f"Dice_{side}"]), float(case[f"IoU_{side}"])
            assert dice == pytest.approx(2 * iou / (1 + iou), abs=1e-5)


def test_the_columns_follow_the_labels() -> None:
    """The metrics leave out the background, so that their columns are the labels in ascending order."""
    configs = BUNDLES / BUNDLE / "configs"
    channels = json.loads((configs / "metadata.json").read_text())["network_data_format"]["outputs"]["pred"][
        "channel_def"
    ]
    sides = [channels[label].removesuffix(" lung") for label in sorted(channels, key=int)[1:]]
    handlers = yaml.safe_load((configs / "evaluate.yaml").read_text())["validate::handlers"]
    (table,) = [handler for handler in handlers if handler["_target_"].endswith("MetricsTable")]
    kinds = {"val_mean_dice": "Dice", "val_mean_iou": "IoU", "hd95": "HD95", "surface_dice": "surface_Dice"}
    assert table["metrics"] == {name: [f"{kind}_{side}" for side in sides] for name, kind in kinds.items()}
    assert table["dice"] == "val_mean_dice"


@pytest.mark.slow
def test_inference_names_broken_files_and_segments_the_others(trained: Path, tmp_path: Path) -> None:
    data = write_phantoms("lung_volume", tmp_path / "data", 2, 0, TINY)
    (data / "images" / "broken.nii.gz").write_bytes(b"no volume")
    flat = nibabel.Nifti1Image(np.zeros((5, 6), np.int16), np.eye(4))
    nibabel.save(flat, data / "images" / "flat.nii")
    options = {"dataset_dir": str(data), "output_dir": str(tmp_path / "out"), "ckpt_dir": str(trained), **NETWORK}
    with pytest.raises(RuntimeError) as error:
        run_here("run", BUNDLE, "inference", **options)
    cause = error.value.__cause__
    assert isinstance(cause, InputError)
    assert "2 of 4 cases failed" in str(cause)
    assert "broken.nii.gz cannot be read" in str(cause)
    assert "flat.nii has 2 axes" in str(cause)
    written = sorted(path.name for path in (tmp_path / "out").rglob("*.nii*"))
    assert written == ["lung_volume_00000.nii.gz", "lung_volume_00001.nii.gz"]
    for name in written:
        source, result = nibabel.load(data / "images" / name), nibabel.load(tmp_path / "out" / name)
        assert (result.shape, result.get_data_dtype()) == (source.shape, np.uint8)
        np.testing.assert_allclose(result.affine, source.affine, atol=1e-4)


def test_voxels_without_a_value_count_as_air(tmp_path: Path) -> None:
    folder = write_phantoms("lung_volume", tmp_path / "data", 2, 4, (44, 40, 12)) / "images"
    source = nibabel.load(folder / "lung_volume_00000.nii.gz")
    units = np.asarray(source.dataobj, dtype=np.float32)
    (tmp_path / "in").mkdir()
    for name, outside in (("air", -1000), ("nan", np.nan)):
        units[:6] = outside
        nibabel.save(nibabel.Nifti1Image(units, source.affine), tmp_path / "in" / f"{name}.nii.gz")
    nibabel.save(nibabel.Nifti1Image(np.full_like(units, np.nan), source.affine), tmp_path / "in" / "nothing.nii.gz")
    torch.save({"gain": torch.tensor(20.0)}, tmp_path / "model.pt")
    with pytest.raises(RuntimeError) as error:
        run_here(
            "inferring",
            BUNDLE,
            "inference",
            dataset_dir=str(tmp_path / "in"),
            output_dir=str(tmp_path / "out"),
            ckpt_dir=str(tmp_path),
            network_def={"_target_": "known_lungs.DarkIsLung"},
            spacing=[4.0, 4.0, 8.0],
            image_size=96,
        )
    assert "nothing.nii.gz holds no finite value" in str(error.value.__cause__)
    air, nan = (np.asarray(nibabel.load(tmp_path / "out" / f"{name}.nii.gz").dataobj) for name in ("air", "nan"))
    np.testing.assert_array_equal(air, nan)
    assert {1, 2} <= set(np.unique(nan))


def test_the_same_anatomy_whatever_the_order_of_the_axes(tmp_path: Path) -> None:
    source = (
        write_phantoms("lung_volume", tmp_path / "data", 2, 4, (44, 40, 12)) / "images" / "lung_volume_00000.nii.gz"
    )
    volume, label = nibabel.load(source), nibabel.load(str(source).replace("images", "labels"))
    folder = tmp_path / "in"
    folder.mkdir()
    # oblique too: tilted by 10 degrees about the axis from left to right
    tilt = np.eye(4)
    tilt[1:3, 1:3] = [[np.cos(0.17), -np.sin(0.17)], [np.sin(0.17), np.cos(0.17)]]
    nibabel.save(nibabel.Nifti1Image(np.asarray(volume.dataobj), tilt @ volume.affine), folder / "tilted.nii")
    for codes in ("RAS", "LPS", "PIR", "SLA"):
        turned = volume.as_reoriented(ornt_transform(io_orientation(volume.affine), axcodes2ornt(tuple(codes))))
        nibabel.save(turned, folder / f"{codes}.nii.gz")
    torch.save({"gain": torch.tensor(20.0)}, tmp_path / "model.pt")
    run_here(
        "inferring",
        BUNDLE,
        "inference",
        dataset_dir=str(folder),
        output_dir=str(tmp_path / "out"),
        ckpt_dir=str(tmp_path),
        network_def={"_target_": "known_lungs.DarkIsLung"},
        spacing=[4.0, 4.0, 8.0],
        image_size=96,
    )
    classes = np.select([np.isin(label.dataobj, [10, 11]), np.isin(label.dataobj, [12, 13, 14])], [1, 2])
    tissue = np.asarray(volume.dataobj) > -500
    body = np.stack([ndimage.binary_erosion(ndimage.binary_fill_holes(s), iterations=2) for s in tissue.T]).T
    masks = {}
    for path in sorted(folder.iterdir()):
        stem = path.name.partition(".")[0]
        given, result = nibabel.load(path), nibabel.load(tmp_path / "out" / f"{stem}.nii.gz")
        assert result.shape == given.shape
        np.testing.assert_allclose(result.affine, given.affine, atol=1e-3)
        assert nibabel.aff2axcodes(result.affine) == nibabel.aff2axcodes(given.affine)
        back = result
        if stem != "tilted":
            back = result.as_reoriented(ornt_transform(io_orientation(result.affine), io_orientation(volume.affine)))
        masks[stem] = np.asarray(back.dataobj)
        for value in (1, 2):
            found, truth = masks[stem] == value, classes == value
            found &= body  # the network calls the air around it lung, too
            assert 2 * (found & truth).sum() / (found.sum() + truth.sum()) > 0.85, (stem, value)
    for codes in ("LPS", "PIR", "SLA"):
        np.testing.assert_array_equal(masks[codes], masks["RAS"])


@pytest.mark.parametrize("context_slices", [1, 3, 5])
def test_training_sees_slices_as_inference_does(context_slices: int, tmp_path: Path) -> None:
    """Each drawn slice and its label are those of one place in the volume, borders included."""
    data = write_phantoms("lung_volume", tmp_path / "data", 4, 1, TINY)
    changes = {"context_slices": context_slices, "slices_per_volume": 40, "image_size": 32, "cache_rate": 0.0}
    workflow = workflow_of("train", BUNDLE, *SMALL, dataset_dir=str(data), output_dir=str(tmp_path), **changes)
    workflow.parser.parse(reset=True)
    steps = workflow.parser.get_parsed_content("train::preprocessing").transforms
    names = [type(step).__name__ for step in steps]
    crop, augment = names.index("RandCropByLabelClassesd"), names.index("RandAffined")
    item = Compose(steps[: names.index("BorderPadd")])(workflow.parser.get_parsed_content("pairs")[0])
    image, label = (item[key].as_tensor()[0] for key in ("image", "label"))
    drawn = Compose(steps[crop - 1 : augment])(item)
    seen = set()
    for sample in drawn:
        assert sample["image"].shape == (context_slices, 32, 32)
        assert sample["label"].shape == (1, 32, 32)
        place = find_place(sample["image"].as_tensor(), sample["label"].as_tensor()[0], image, label, context_slices)
        assert place is not None
        seen.add(place)
    assert len(seen) > 4
    assert {0, 1, 2} == {int(value) for sample in drawn for value in sample["label"].unique()}


def find_place(
    sample: torch.Tensor, mask: torch.Tensor, image: torch.Tensor, label: torch.Tensor, context_slices: int
) -> int | None:
    """The slice of `image` and `label` that a sample was cut from, or None."""
    height, width = mask.shape
    for z, slices in enumerate(neighbor_slices(image, 0, image.shape[-1], context_slices)):
        for top in range(image.shape[0] - height + 1):
            for left in range(image.shape[1] - width + 1):
                window = (slice(top, top + height), slice(left, left + width))
                if torch.equal(slices[(..., *window)], sample) and torch.equal(label[..., z][window], mask):
                    return z
    return None


@pytest.mark.slow
def test_a_single_slice_is_a_volume_too(trained: Path, tmp_path: Path) -> None:
    units = np.full((50, 60, 1), -1000, np.int16)
    units[10:40, 10:50] = 40
    nibabel.save(nibabel.Nifti1Image(units, np.diag([5.0, 5.0, 8.0, 1.0])), tmp_path / "one.nii.gz")
    options = {"dataset_dir": str(tmp_path / "one.nii.gz"), "output_dir": str(tmp_path / "out"), **NETWORK}
    run_here("run", BUNDLE, "inference", ckpt_dir=str(trained), **options)
    assert nibabel.load(tmp_path / "out" / "one.nii.gz").shape == units.shape


@pytest.mark.slow
def test_labels_that_do_not_belong_stop_the_run_before_it_writes(tmp_path: Path) -> None:
    data = write_phantoms("lung_volume", tmp_path / "data", 4, 0, TINY)
    nibabel.save(
        nibabel.Nifti1Image(np.zeros((5, 6, 7), np.uint8), np.eye(4)), data / "labels" / "lung_volume_00001.nii.gz"
    )
    folders = {"dataset_dir": str(data), "output_dir": str(tmp_path / "o"), "ckpt_dir": str(tmp_path / "c")}
    with pytest.raises(Exception, match="evaluate") as error:
        run_here("training", BUNDLE, *SMALL, **folders)
    assert "lung_volume_00001.nii.gz has the shape (5, 6, 7)" in str(error.value.__cause__)
    assert not (tmp_path / "o").exists()
    assert not (tmp_path / "c").exists()
