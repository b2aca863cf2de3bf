from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch
from monai.transforms import AsDiscreted, Compose, EnsureChannelFirstd, Invertd, LoadImaged, Resized, SaveImaged
from PIL import Image

from medseg.data import PictureReader
from medseg.results import PictureWriter, VolumeWriter


def l_shape(height: int, width: int) -> np.ndarray:
    shape = np.zeros((height, width), bool)
    shape[height // 8 : -height // 8, width // 6 : width // 3] = True
    shape[-height // 3 : -height // 8, width // 6 : -width // 4] = True
    return shape


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize(("height", "width"), [(120, 75), (66, 141)])
@pytest.mark.parametrize("name", ["plain.png", "two.dots.JPG"])
def test_round_trip_keeps_geometry(tmp_path: Path, name: str, height: int, width: int, orientation: int) -> None:
    upright = l_shape(height, width)
    exif = Image.Exif()
    exif[274] = orientation
    stored = np.rot90(upright) if orientation == 6 else upright
    Image.fromarray(stored.astype(np.uint8) * 255).save(tmp_path / name, exif=exif)

    before = Compose(
        [
            LoadImaged("image", reader=PictureReader),
            EnsureChannelFirstd("image", channel_dim=-1),
            Resized("image", spatial_size=(96, 96), mode="bilinear"),
        ]
    )
    after = Compose(
        [
            Invertd("pred", transform=before, orig_keys="image", nearest_interp=False, to_tensor=True),
            AsDiscreted("pred", threshold=0.5),
            SaveImaged(
                "pred",
                output_dir=tmp_path / "out",
                writer=PictureWriter,
                output_ext=".png",
                output_postfix="",
                output_dtype=np.uint8,
                scale=255,
                resample=False,
                separate_folder=False,
                print_log=False,
            ),
        ]
    )
    sample = before({"image": str(tmp_path / name)})
    sample["pred"] = sample["image"][:1] / 255
    after(sample)

    assert [path.name for path in (tmp_path / "out").iterdir()] == [f"{name.rsplit('.', 1)[0]}.png"]
    with Image.open(next((tmp_path / "out").iterdir())) as written:
        assert (written.mode, written.format) == ("L", "PNG")
        mask = np.asarray(written)
    assert mask.shape == (height, width)
    assert set(np.unique(mask)) == {0, 255}
    assert np.mean((mask > 0) != upright) < 0.02


def test_write_replaces_as_a_whole(tmp_path: Path) -> None:
    target = tmp_path / "a.png"
    target.write_bytes(b"old")
    writer = PictureWriter(output_dtype=np.uint8, scale=255)
    writer.set_data_array(torch.ones(1, 4, 6))
    writer.data_obj = torch.zeros(1, 4, 6, 5)  # nothing Pillow can store
    with pytest.raises(TypeError):
        writer.write(target)
    assert target.read_bytes() == b"old"
    writer.set_data_array(torch.ones(1, 4, 6))
    writer.write(target)
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
    with Image.open(target) as written:
        assert written.size == (6, 4)


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (4, 1)])
@pytest.mark.parametrize("channels", [1, 3])
def test_narrow_pictures_keep_both_axes(tmp_path: Path, size: tuple[int, int], channels: int) -> None:
    writer = PictureWriter(output_dtype=np.uint8, scale=None)
    writer.set_data_array(torch.full((channels, *size), 7.0), squeeze_end_dims=True)
    writer.write(tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as written:
        assert written.size == size[::-1]
        assert written.mode == {1: "L", 3: "RGB"}[channels]
        assert np.asarray(written).max() == 7


@pytest.mark.parametrize("shape", [(5, 6, 7), (5, 6, 1), (1, 1, 1)])
def test_volume_keeps_its_axes_and_affine(tmp_path: Path, shape: tuple[int, ...]) -> None:
    labels = np.random.default_rng(0).integers(0, 5, shape)
    affine = np.array([[0, 0, 2.0, 10], [0, -3.0, 0, -5], [5.0, 0, 0, 7], [0, 0, 0, 1]])
    nibabel.save(nibabel.Nifti1Image(labels.astype(np.int16), affine), tmp_path / "scan.nii")
    item = Compose([LoadImaged("pred"), EnsureChannelFirstd("pred", channel_dim="no_channel")])(
        {"pred": tmp_path / "scan.nii"}
    )
    save = SaveImaged(
        "pred",
        writer=VolumeWriter,
        output_dir=tmp_path / "out",
        output_ext=".nii.gz",
        output_postfix="",
        output_dtype=np.uint8,
        resample=False,
        separate_folder=False,
        print_log=False,
    )
    for _ in range(2):
        save(item)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["scan.nii.gz"]
    written = nibabel.load(tmp_path / "out" / "scan.nii.gz")
    np.testing.assert_array_equal(np.asarray(written.dataobj), labels)
    np.testing.assert_allclose(written.affine, affine)


def test_colors_keep_their_order(tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (3, 5, 7), np.uint8)
    writer = PictureWriter(output_dtype=np.uint8, scale=None)
    writer.set_data_array(picture)
    writer.write(tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as written:
        np.testing.assert_array_equal(np.asarray(written), picture.transpose(1, 2, 0))
