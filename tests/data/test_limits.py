import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest

from medseg.data.dicom.container import Container
from medseg.data.limits import MAX_PIXELS, check_grid, check_picture_size
from medseg.data.pictures import decode_picture
from medseg.errors import InputError


def test_frames_of_8k_and_thumbnails_of_slides_pass() -> None:
    check_picture_size("a.png", (7680, 4320))
    check_picture_size("a.png", (12_000, 8_000))
    check_grid("a.nii", (512, 512, 4096), np.diag([0.7, 0.7, 0.5, 1]))


@pytest.mark.parametrize("size", [(13_300, 13_300), (96, 65_535)])
def test_a_picture_that_declares_too_much_is_refused_before_decoding(size: tuple[int, int], tmp_path: Path) -> None:
    header = struct.pack(">IIBBBBB", *size, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    data = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    (tmp_path / "a.png").write_bytes(data + struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT")))
    with pytest.raises(InputError, match=rf"a\.png declares {size[0]} x {size[1]} pixels, .*max_pixels"):
        decode_picture(tmp_path / "a.png")
    assert size[0] * size[1] > MAX_PIXELS or max(size) > 32_768


@pytest.mark.parametrize(
    ("shape", "spacing", "words"),
    [
        ((65_535, 65_535, 3), (1, 1, 1), "max_pixels"),
        ((5, 5, 0), (1, 1, 1), "max_pixels"),
        ((5, 5, 5), (1, 1, 0), "no scanner makes"),
        ((5, 5, 5), (np.nan, 1, 1), "no scanner makes"),
        ((512, 512, 512), (90, 90, 90), "cubic meters"),
    ],
)
def test_grids_that_no_patient_has(shape: tuple[int, ...], spacing: tuple[float, ...], words: str) -> None:
    with pytest.raises(InputError, match=words):
        check_grid("a.nii", shape, np.diag([*spacing, 1.0]))


def test_axes_in_one_plane() -> None:
    affine = np.eye(4)
    affine[:3, 1] = affine[:3, 0]
    with pytest.raises(InputError, match="one plane"):
        check_grid("a.nii", (5, 5, 5), affine)


def test_a_zip_that_declares_far_more_than_it_holds(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.dcm", bytes(1000))
    data = (tmp_path / "a.zip").read_bytes()
    at = data.index(b"PK\x01\x02") + 24
    (tmp_path / "a.zip").write_bytes(data[:at] + struct.pack("<I", 2**31) + data[at + 4 :])
    with (
        pytest.raises(InputError, match=r"declares 2\.0 GiB, over 100 times its own size"),
        Container(tmp_path / "a.zip"),
    ):
        pass
