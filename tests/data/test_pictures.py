from pathlib import Path

import numpy as np
import pytest
from monai.transforms import LoadImage, LoadImaged
from PIL import Image
from tifffile import imwrite

from medseg.data import MaskReader, PictureReader, decode_mask, decode_picture
from medseg.data.masks import mask_luminance
from medseg.errors import InputError

# an "L": no rotation or mirror image of it equals itself
ROWS = np.zeros((16, 24), bool)
ROWS[2:14, 4:8] = True
ROWS[10:14, 4:18] = True
COLUMNS = ROWS.T[::-1].copy()
GRAY = np.where(ROWS, 200, 40).astype(np.uint8)
COLOR = np.stack([GRAY, GRAY // 2, 255 - GRAY], -1)


def save(path: Path, array: np.ndarray, mode: str | None = None, **options: object) -> Path:
    image = Image.fromarray(array)
    (image.convert(mode) if mode else image).save(path, **options)
    return path


@pytest.mark.parametrize("shape", [ROWS, COLUMNS], ids=["landscape", "portrait"])
@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".tiff", ".PNG", ".TIF"])
def test_lossless_color_is_exact(tmp_path: Path, shape: np.ndarray, suffix: str) -> None:
    color = np.where(shape[..., None], [200, 30, 90], [10, 120, 60]).astype(np.uint8)
    np.testing.assert_array_equal(decode_picture(save(tmp_path / f"a{suffix}", color)), color)


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".JPG"])
def test_jpeg_color(tmp_path: Path, suffix: str) -> None:
    decoded = decode_picture(save(tmp_path / f"a{suffix}", COLOR, quality=100, subsampling=0))
    assert decoded.dtype == np.uint8
    np.testing.assert_allclose(decoded.astype(int), COLOR.astype(int), atol=4)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif"])
@pytest.mark.parametrize("orientation", range(2, 9))
def test_exif_orientation(tmp_path: Path, orientation: int, suffix: str) -> None:
    # how the stored pixels must lie so that the upright picture is ROWS: the definition of the EXIF tag
    stored = {
        2: ROWS[:, ::-1],
        3: ROWS[::-1, ::-1],
        4: ROWS[::-1],
        5: ROWS.T,
        6: np.rot90(ROWS, 1),
        7: np.rot90(ROWS, 2).T,
        8: np.rot90(ROWS, -1),
    }[orientation]
    exif = Image.Exif()
    exif[274] = orientation
    path = save(tmp_path / f"a{suffix}", stored.astype(np.uint8) * 255, exif=exif)
    np.testing.assert_array_equal(decode_picture(path)[..., 1] > 127, ROWS)
    np.testing.assert_array_equal(decode_mask(path)[..., 0], ROWS)


def test_gray_and_one_bit(tmp_path: Path) -> None:
    np.testing.assert_array_equal(decode_picture(save(tmp_path / "a.png", GRAY)), np.stack([GRAY] * 3, -1))
    binary = decode_picture(save(tmp_path / "b.png", ROWS))
    np.testing.assert_array_equal(binary, np.stack([ROWS * np.uint8(255)] * 3, -1))


@pytest.mark.parametrize("color", [False, True], ids=["LA", "RGBA"])
def test_alpha_is_composed_on_black(tmp_path: Path, color: bool) -> None:
    alpha = np.full(ROWS.shape, 255, np.uint8)
    alpha[:5] = 0
    alpha[5:8] = 128
    visible = COLOR if color else GRAY[..., None]
    decoded = decode_picture(save(tmp_path / "a.png", np.concatenate([visible, alpha[..., None]], -1)))
    expected = np.broadcast_to(visible, COLOR.shape) * (alpha[..., None] / 255)
    np.testing.assert_allclose(decoded, expected, atol=1)
    assert not decoded[:5].any()


def test_palette(tmp_path: Path) -> None:
    image = Image.fromarray(ROWS.astype(np.uint8) * 3)
    image.putpalette([10, 20, 30] + [0] * 6 + [250, 140, 70])
    assert image.mode == "P"
    image.save(tmp_path / "a.png")
    expected = np.where(ROWS[..., None], [250, 140, 70], [10, 20, 30])
    np.testing.assert_array_equal(decode_picture(tmp_path / "a.png"), expected)
    image.save(tmp_path / "b.png", transparency=0)
    expected = np.where(ROWS[..., None], [250, 140, 70], 0)
    np.testing.assert_array_equal(decode_picture(tmp_path / "b.png"), expected)


@pytest.mark.parametrize(("suffix", "dtype"), [(".png", np.uint16), (".tif", np.uint16), (".tif", np.int32)])
def test_sixteen_bit_gray_uses_the_full_range(tmp_path: Path, suffix: str, dtype: type) -> None:
    wide: np.ndarray = GRAY.astype(dtype) * 257
    wide[0, 0] = 65535
    decoded = decode_picture(save(tmp_path / f"a{suffix}", wide))
    expected = GRAY.copy()
    expected[0, 0] = 255
    np.testing.assert_array_equal(decoded, np.stack([expected] * 3, -1))
    np.testing.assert_array_equal(decode_mask(tmp_path / f"a{suffix}")[..., 0], expected > 127)


def test_cmyk_jpeg(tmp_path: Path) -> None:
    path = save(tmp_path / "a.jpg", COLOR, mode="CMYK", quality=100)
    with Image.open(path) as stored:
        assert stored.mode == "CMYK"
    np.testing.assert_allclose(decode_picture(path).astype(int), COLOR.astype(int), atol=12)


@pytest.mark.parametrize(("low", "high"), [(0, 255), (0, 1), (90, 130), (0, 128)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_mask_values(tmp_path: Path, low: int, high: int, dtype: type) -> None:
    path = save(tmp_path / "a.png", np.where(ROWS, high, low).astype(dtype))
    decoded = decode_mask(path)
    assert decoded.dtype == np.uint8
    np.testing.assert_array_equal(decoded[..., 0], ROWS)


def test_mask_color_empty_and_full(tmp_path: Path) -> None:
    color = np.stack([ROWS * np.uint8(255)] * 3, -1)
    np.testing.assert_array_equal(decode_mask(save(tmp_path / "a.png", color))[..., 0], ROWS)
    assert not decode_mask(save(tmp_path / "b.png", GRAY * 0)).any()
    assert decode_mask(save(tmp_path / "c.png", GRAY * 0 + 255)).all()


@pytest.mark.parametrize(
    ("palette", "foreground"),
    [([0, 0, 0, 128, 0, 0], ROWS), ([0, 0, 0, 255, 255, 255], ROWS), ([255, 255, 255, 0, 0, 0], ~ROWS)],
    ids=["label colors", "black and white", "inverted"],
)
def test_mask_palette(tmp_path: Path, palette: list[int], foreground: np.ndarray) -> None:
    image = Image.fromarray(ROWS.astype(np.uint8))
    image.putpalette(palette)
    image.save(tmp_path / "a.png")
    np.testing.assert_array_equal(decode_mask(tmp_path / "a.png")[..., 0], foreground)


def test_luminance_keeps_gray(tmp_path: Path) -> None:
    np.testing.assert_array_equal(mask_luminance(save(tmp_path / "a.png", GRAY)), GRAY)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".tif"])
@pytest.mark.parametrize("decode", [decode_picture, decode_mask])
def test_truncated_file_is_named(tmp_path: Path, suffix: str, decode) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 48, 3), np.uint8)
    path = save(tmp_path / f"broken{suffix}", noise)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match=f"broken{suffix} cannot be read .* save it again"):
        decode(path)


def test_other_unusable_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("not a picture")
    (tmp_path / "empty.jpg").touch()
    save(tmp_path / "float.tif", GRAY.astype(np.float32))
    save(tmp_path / "wide.tif", GRAY.astype(np.int32) * 1000)
    for name, reason in [
        ("text.png", "is not a PNG"),
        ("empty.jpg", "is not a PNG"),
        ("float.tif", "floating point"),
        ("wide.tif", "16 bits"),
        ("absent.png", "does not exist"),
    ]:
        with pytest.raises(InputError, match=f"{name} .*{reason}"):
            decode_picture(tmp_path / name)


def test_readers_in_load_image(tmp_path: Path) -> None:
    image, label = save(tmp_path / "a.PNG", COLOR), save(tmp_path / "a.tif", ROWS.astype(np.uint8))
    load = LoadImaged("image", reader="medseg.data.PictureReader")
    loaded = LoadImaged("label", reader=MaskReader)(load({"image": str(image), "label": str(label)}))
    np.testing.assert_array_equal(loaded["image"].numpy(), COLOR)
    np.testing.assert_array_equal(loaded["label"].numpy()[..., 0], ROWS)
    assert loaded["image"].meta["original_channel_dim"] == -1
    assert tuple(loaded["image"].meta["spatial_shape"]) == ROWS.shape
    assert loaded["image"].meta["filename_or_obj"] == str(image)


def test_load_image_does_not_fall_back_to_another_reader(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", GRAY.astype(np.float32).view(np.uint8))
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(InputError, match=r"a\.png"):
        LoadImage(reader=PictureReader())(path)


def test_reader_takes_one_file_and_known_suffixes(tmp_path: Path) -> None:
    reader = PictureReader()
    assert reader.verify_suffix("a.JPeG")
    assert not reader.verify_suffix(["a.png", "b.nii.gz"])
    with pytest.raises(InputError, match="2 files"):
        LoadImage(reader=reader)([tmp_path / "a.png", tmp_path / "b.png"])


@pytest.mark.parametrize("bits", [8, 10, 12, 14])
def test_wide_values_are_scaled_by_their_own_bits(tmp_path: Path, bits: int, caplog: pytest.LogCaptureFixture) -> None:
    white = 2**bits - 1
    caplog.set_level("INFO")
    path = save(tmp_path / "a.tif", np.where(ROWS, white, white // 4).astype(np.uint16))
    for _ in range(2):
        np.testing.assert_array_equal(decode_picture(path)[..., 0], np.where(ROWS, 255, 63 if bits == 8 else 64))
    assert [record.message for record in caplog.records if f"need only {bits} bits: {white} is" in record.message]
    assert len(caplog.records) == 1
    np.testing.assert_array_equal(decode_mask(path)[..., 0], ROWS)


@pytest.mark.parametrize("white", [4095, 65535])
def test_wide_tiff_whose_zero_is_white(tmp_path: Path, white: int) -> None:
    path = save(tmp_path / "a.tif", np.where(ROWS, 0, white).astype(np.uint16), tiffinfo={262: 0})
    np.testing.assert_array_equal(decode_picture(path)[..., 0], ROWS * 255)
    np.testing.assert_array_equal(decode_mask(path)[..., 0], ROWS)


def test_what_pillow_reads_wrongly_is_refused(tmp_path: Path) -> None:
    signed = save(tmp_path / "signed.tif", GRAY, tiffinfo={339: 2})
    with pytest.raises(InputError, match=r"signed.tif cannot be read \(it holds signed values\)"):
        decode_picture(signed)
    imwrite(tmp_path / "dim.tif", COLOR.astype(np.uint16) * 16, photometric="rgb")
    with pytest.raises(InputError, match=r"dim.tif cannot be read \(its 16-bit colors need no more than 14 bits\)"):
        decode_picture(tmp_path / "dim.tif")
    imwrite(tmp_path / "full.tif", COLOR.astype(np.uint16) * 257, photometric="rgb")
    np.testing.assert_array_equal(decode_picture(tmp_path / "full.tif"), COLOR)
