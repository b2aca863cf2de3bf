from pathlib import Path

import pytest

from medseg.data import detect_input_type


@pytest.mark.parametrize(
    ("names", "possible", "certain"),
    [
        (["a.PNG", "b.jpeg", ".hidden.nii", "notes.txt"], {"pictures"}, {"pictures"}),
        (["images/a.tif", "masks/a.tif"], {"pictures"}, {"pictures"}),
        (["a.nii", "b.NII.GZ"], {"volumes"}, {"volumes"}),
        (["images/a.nii.gz", "labels/a.nii.gz"], {"volumes"}, {"volumes"}),
        (["series/IM1", "series/IM2"], {"volumes"}, set()),
        (["first/a.png", "second/b.png"], {"pictures"}, set()),
        (["series/IM1", "series/preview.png"], {"volumes"}, set()),
        (["IM1", "1.2.840.1"], {"volumes"}, set()),
        (["study.zip"], {"volumes"}, {"volumes"}),
        (["a.png", "README"], {"pictures", "volumes"}, {"pictures"}),
        (["a.png", "b.nii.gz"], {"pictures", "volumes"}, {"pictures", "volumes"}),
        (["table.csv"], set(), set()),
        ([], set(), set()),
    ],
)
def test_folders(names: list[str], possible: set[str], certain: set[str], tmp_path: Path) -> None:
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert detect_input_type(tmp_path) == possible
    assert detect_input_type(tmp_path, certain=True) == certain


def test_one_file(tmp_path: Path) -> None:
    (tmp_path / "a.nii.gz").touch()
    (tmp_path / "b.png").touch()
    assert detect_input_type(tmp_path / "a.nii.gz") == {"volumes"}
    assert detect_input_type(tmp_path / "b.png") == {"pictures"}
