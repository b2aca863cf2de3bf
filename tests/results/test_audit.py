"""An audit finds planted copies and near duplicates, and tells what masks hold."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from medseg.cli.main import main
from medseg.networks.checkpoints.installed import find_imagenet_weights
from medseg.phantoms import lesion_phantom, polyp_phantom

if find_imagenet_weights("efficientnet_lite0") is None:
    pytest.skip("the package with the ImageNet weights is not installed", allow_module_level=True)


def save(folder: Path, name: str, image: np.ndarray | Image.Image, mask: np.ndarray) -> None:
    for inner, picture in (("images", image), ("masks", Image.fromarray(mask))):
        (folder / inner).mkdir(parents=True, exist_ok=True)
        picture = Image.fromarray(picture) if isinstance(picture, np.ndarray) else picture
        picture.save(folder / inner / f"{name}.png")


@pytest.fixture
def data(tmp_path: Path) -> tuple[Path, Path]:
    """Four pictures of one kind and four of another; in the second folder a copy, and another frame of one of them."""
    one, other = tmp_path / "one", tmp_path / "other"
    polyps = [polyp_phantom(index, size=(120, 150), seed=0) for index in range(6)]
    lesions = [lesion_phantom(index, size=(120, 150), seed=0) for index in range(6)]
    for index in range(3):
        save(one, f"polyp{index}", polyps[index][0], (polyps[index][1] > 0).astype(np.uint8) * 255)
        save(other, f"lesion{index}", lesions[index][0], (lesions[index][1] > 0).astype(np.uint8) * 255)
    save(one, "empty", polyps[4][0], np.zeros((120, 150), np.uint8))
    corner = np.zeros((120, 150), np.uint8)
    corner[:3, :3] = corner[60:63, 70:72] = 255
    save(one, "corner", polyps[5][0], corner)
    save(other, "again", lesions[1][0], np.full((120, 150), 100, np.uint8))
    frame = Image.fromarray(polyps[2][0]).crop((4, 3, 150, 120)).resize((150, 120), Image.Resampling.BILINEAR)
    save(other, "frame", ImageEnhance.Brightness(frame).enhance(1.1), (polyps[2][1] > 0).astype(np.uint8) * 255)
    return one, other


def test_planted_duplicates(data: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, other = data
    assert main(["audit", str(one), "--against", str(other), "--to", str(tmp_path / "out")]) == 0
    audit = json.loads((tmp_path / "out" / "audit.json").read_text())
    between = [pair for pair in audit["similar"] if pair["parts"] == ["one", "other"]]
    assert [Path(image).stem for image in between[0]["images"]] == ["polyp2", "frame"]
    assert between[0]["similarity"] > audit["suspicious_from"] > between[1]["similarity"]
    assert between[0]["mask_dice"] == 1
    within = [pair for pair in audit["similar"] if pair["parts"] == ["other", "other"]]
    assert {Path(image).stem for image in within[0]["images"]} == {"lesion1", "again"}
    assert within[0]["similarity"] == pytest.approx(1, abs=1e-4)
    assert len({frozenset(pair["images"]) for pair in within}) == len(within) == 10  # each of 5 with each, once
    assert [{Path(file["image"]).stem for file in group} for group in audit["copies"]] == [{"lesion1", "again"}]
    assert "11 images" not in (said := capsys.readouterr().out)
    assert "10 images, 1 groups of copies" in said
    assert re.search(r"polyp2 \(one\) ~ frame \(other\)", said)


def test_masks_are_described(data: tuple[Path, Path], tmp_path: Path) -> None:
    one, other = data
    assert main(["audit", str(one), "--against", str(other), "--to", str(tmp_path)]) == 0
    parts = json.loads((tmp_path / "audit.json").read_text())["parts"]
    found = parts["one"]
    assert (found["images"], found["formats"], found["sizes"]) == (5, {".png": 5}, {"120 x 150": 5})
    assert found["empty"] == ["empty"]
    assert found["tiny"] == ["corner"]
    assert "corner" in found["at_border"]
    assert parts["other"]["gray"] == ["again"]
    names = ["corner", "empty", "polyp0", "polyp1", "polyp2"]
    assert dict(zip(names, found["lesions"], strict=True))["corner"] == 2
    assert dict(zip(names, found["areas"], strict=True))["corner"] == pytest.approx(15 / (120 * 150))


def test_the_page_shows_each_pair(data: tuple[Path, Path], tmp_path: Path) -> None:
    assert main(["audit", str(data[0]), "--to", str(tmp_path)]) == 0
    page = (tmp_path / "audit.html").read_text(encoding="utf-8")
    assert page.count("data:image/jpeg;base64,") == 10
    assert "Within one" in page
    assert "No two files have the same pixels." in page
    assert not re.search(r'(?:src|href)="(?!data:|#)', page)


def test_splits_are_parts_and_one_image_is_refused(
    data: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (data[0] / "train.txt").write_text("polyp0\npolyp1\n")
    (data[0] / "test.txt").write_text("polyp2\n")
    assert main(["audit", str(data[0]), "--splits", "train.txt", "test.txt", "--to", str(tmp_path)]) == 0
    found = json.loads((tmp_path / "audit.json").read_text())
    assert {name: part["images"] for name, part in found["parts"].items()} == {"train": 2, "test": 1}
    assert [pair["parts"] for pair in found["similar"]] == [["train", "train"], *[["train", "test"]] * 2]
    capsys.readouterr()
    assert main(["audit", str(data[0]), "--splits", "test.txt", "--to", str(tmp_path / "none")]) == 1
    assert "needs two or more pairs" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()
