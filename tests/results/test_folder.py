import csv
import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from monai.inferers import SlidingWindowInferer
from monai.transforms import Compose, Resized, SaveImaged
from torch import nn

from medseg.data.failures import CaseFailure
from medseg.errors import InputError
from medseg.files import atomic_write, case_name
from medseg.results import PictureWriter, ResultsFolder, finish_run
from medseg.results.fingerprint import describe
from medseg.results.folder import file_state
from medseg.results.tables import plain_cell, write_csv

VERSION = "1.2.3"


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    (tmp_path / "bundle" / "configs").mkdir(parents=True)
    metadata = {"name": "A bundle", "version": VERSION}
    (tmp_path / "bundle" / "configs" / "metadata.json").write_text(json.dumps(metadata))
    return tmp_path / "bundle"


def write_record(out: Path, source: Path | str, outputs: dict[str, str], **provenance: Any) -> None:
    """A record as CaseRecords writes it, with what matters here, and the files it names."""
    (out / "records").mkdir(parents=True, exist_ok=True)
    for name in outputs.values():
        (out / name).touch()
    record = {"schema": "medseg-record-1", "case": case_name(source), "source": str(source), "outputs": outputs}
    record["provenance"] = {"bundle_version": VERSION, **provenance}
    (out / "records" / f"{case_name(source)}.json").write_text(json.dumps(record))


@pytest.mark.parametrize(
    ("outputs", "lost", "done"),
    [
        ({"mask": "a.png", "picture": "p.png"}, "p.png", True),
        ({"mask": "a.png", "picture": "p.png"}, "a.png", False),
        ({"dicom_seg": "a.dcm"}, "", True),
        ({"mask": "a.nii.gz", "dicom_seg": "a.dcm"}, "a.dcm", False),
        ({"picture": "p.png"}, "", False),
    ],
)
def test_what_done_means(outputs: dict[str, str], lost: str, done: bool, bundle: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    item = {"image": str(tmp_path / "a.png")}
    write_record(out, item["image"], outputs)
    if lost:
        (out / lost).unlink()
    assert ResultsFolder(out, bundle, {}).pending([item]) == ([] if done else [item])
    assert ResultsFolder(out, bundle, {}, overwrite=True).pending([item]) == [item]


@settings(
    deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(states=st.lists(st.sampled_from(["done", "half", "torn", "new"]), max_size=8))
def test_the_order_stays_and_only_done_ones_leave(states: list[str], bundle: Path, tmp_path: Path) -> None:
    out = Path(tempfile.mkdtemp(dir=tmp_path))  # hypothesis may draw the same example twice
    items = [{"image": f"/in/{number} ü.nii.gz"} for number in range(len(states))]
    for item, state in zip(items, states, strict=True):
        name = case_name(item["image"])
        if state != "new":
            write_record(out, item["image"], {"mask": f"{name}.nii.gz"})
        if state == "half":
            (out / f"{name}.nii.gz").unlink()
        if state == "torn":
            (out / "records" / f"{name}.json").write_text('{"schema": ')
    results = ResultsFolder(out, bundle, {})
    results.start(items)
    assert results.pending(items) == [i for i, state in zip(items, states, strict=True) if state != "done"]


def test_a_changed_file_is_done_again(bundle: Path, tmp_path: Path) -> None:
    source, out = tmp_path / "a.png", tmp_path / "out"
    source.touch()
    write_record(out, source, {"mask": "a.png"})
    results, item = ResultsFolder(out, bundle, {}), {"image": str(source)}
    assert results.pending([item]) == []
    later = (out / "records" / "a.json").stat().st_mtime + 1
    os.utime(source, (later, later))
    assert results.pending([item]) == [item]


def test_an_older_file_of_the_same_name_is_done_again(bundle: Path, tmp_path: Path) -> None:
    source, out = tmp_path / "a.png", tmp_path / "out"
    source.write_bytes(b"new")
    write_record(out, source, {"mask": "a.png"})
    record = out / "records" / "a.json"
    record.write_text(json.dumps({**json.loads(record.read_text()), "source_state": file_state(source)}))
    results, item = ResultsFolder(out, bundle, {}), {"image": str(source)}
    assert results.pending([item]) == []
    when = source.stat().st_mtime
    source.write_bytes(b"old")
    os.utime(source, (when - 10, when - 10))
    assert results.pending([item]) == [item]


@pytest.mark.parametrize("content", ["", "{torn", "[]", "{}"])
def test_damaged_settings_are_refused(content: str, bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "settings.json").write_text(content)
    with pytest.raises(InputError, match=r"settings\.json' cannot be read as .*: choose another folder"):
        ResultsFolder(tmp_path, bundle, {}).start([])
    ResultsFolder(tmp_path, bundle, {}, overwrite=True).start([])
    ResultsFolder(tmp_path, bundle, {}).start([])


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a", "a_probability"], "'a_probability' would have the name of a result of 'a': rename"),
        (["overlays"], "'overlays' would have the name of the contact sheet"),
    ],
)
def test_results_of_one_name_are_refused(names: list[str], message: str, bundle: Path, tmp_path: Path) -> None:
    save = SaveImaged("pred", output_ext=".png", output_postfix="probability", writer=PictureWriter)
    cases = [{"image": f"/in/{name}.png"} for name in names]
    with pytest.raises(InputError, match=message):
        ResultsFolder(tmp_path / "out", bundle, {"postprocessing": Compose([save])}).start(cases)
    assert not (tmp_path / "out").exists()


def test_results_that_vanish_during_the_run_are_failures(bundle: Path, tmp_path: Path) -> None:
    cases = [{"image": f"/in/{name}.png"} for name in "abc"]
    for case in cases[:2]:
        write_record(tmp_path, case["image"], {"mask": f"{case_name(case['image'])}.png"})
    finish_run([], cases[:2], tmp_path)
    (tmp_path / "a.png").unlink()
    failed = [CaseFailure("c", "/in/c.png", "/in/c.png is\ntorn", "")]
    with pytest.raises(InputError, match="2 of 3 cases failed") as error:
        finish_run(failed, cases, tmp_path)
    assert str(error.value).splitlines()[1:] == [
        "- /in/c.png is torn",
        "- /in/a.png was segmented, but its results are gone from the output folder: run the same again.",
    ]
    assert [one["case"] for one in json.loads((tmp_path / "problems.json").read_text())] == ["c", "a"]


def test_several_writers_of_one_file(tmp_path: Path) -> None:
    """The last one wins, with a name of the greatest length too."""
    target = tmp_path / f"{'x' * 248}.nii.gz"
    with atomic_write(target) as first, atomic_write(target, keep_suffix=True) as second:
        first.write_text("first")
        second.write_text("second")
        assert second.name.endswith(".nii.gz")
    assert target.read_text() == "first"
    assert list(tmp_path.iterdir()) == [target]


def test_no_cell_is_a_formula(tmp_path: Path) -> None:
    texts = ["=1+1", "+cmd", "-a.png", "@x", "\tx", "plain", "a=b", "-1.5"]
    write_csv(tmp_path / "t.csv", ["=h", "n"], [[text, -2] for text in texts] + [[-1.5, None]])
    with open(tmp_path / "t.csv", newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["'=h", "n"]
    assert [row[0] for row in rows] == ["'=1+1", "'+cmd", "'-a.png", "'@x", "'\tx", "plain", "a=b", "-1.5", "-1.5"]
    assert [plain_cell(row[0]) for row in rows[:8]] == texts
    assert {row[1] for row in rows[:8]} == {"-2"}


@pytest.mark.parametrize(
    ("recorded", "given", "same"),
    [
        ("{0}/x/a.nii", "{0}/x/a.nii", True),
        ("{0}/x/../x/a.nii", "{0}/x/a.nii", True),
        ("x/a.nii", "{0}/x/a.nii", True),
        ("../y/x/a.nii", "{0}/y/x/a.nii", True),
        ("{0}/y/a.nii", "{0}/x/a.nii", False),
        ("y/a.nii", "{0}/x/a.nii", False),
        ("{0}/study.zip/@1.2/a.dicom", "{0}/study.zip/@1.2/a.dicom", True),
    ],
)
def test_the_same_file_under_another_path(recorded: str, given: str, same: bool, bundle: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_record(out, recorded.format(tmp_path), {"mask": "a.nii.gz"})
    results, item = ResultsFolder(out, bundle, {}), {"image": given.format(tmp_path)}
    if same:
        results.start([item])
    else:
        with pytest.raises(InputError, match=r"holds 'a', made of .*, not of .*: choose another folder"):
            results.start([item])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"weights_sha256": "0" * 64}, "results of other weights than"),
        ({"bundle_version": "1.2.2"}, r'another bundle version \("1.2.2", not "1.2.3"\)'),
        ({"weights_sha256": hashlib.sha256(b"mine").hexdigest()}, ""),
        ({"weights_sha256": None}, ""),
    ],
)
def test_records_of_other_provenance(changes: dict, message: str, bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "model.pt").write_bytes(b"mine")
    item, out = {"image": "/in/a.png"}, tmp_path / "out"
    write_record(out, item["image"], {"mask": "a.png"}, **changes)
    results = ResultsFolder(out, bundle, {}, weights=tmp_path / "model.pt")
    if not message:
        results.start([item])
        return
    with pytest.raises(InputError, match=message):
        results.start([item])
    assert not (out / "settings.json").exists()
    ResultsFolder(out, bundle, {}, weights=tmp_path / "model.pt", overwrite=True).start([item])
    assert not (out / "records" / "a.json").exists()  # killed now, the next run would know that it is not done
    assert results.pending([item]) == [item]


def steps(size: int = 32, mode: str = "bilinear", folder: Path = Path("out")) -> Compose:
    save = SaveImaged("pred", output_dir=folder, output_ext=".png", writer=PictureWriter, print_log=False)
    return Compose([Resized("image", spatial_size=(size, size), mode=mode), save])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"preprocessing": steps(64)}, r"another preprocessing \(.*spatial_size\.0: 32, not 64"),
        ({"preprocessing": steps(mode="nearest")}, r'another preprocessing \(.*mode.*: "bilinear", not "nearest"'),
        ({"inferer": SlidingWindowInferer((32, 32), overlap=0.5)}, r"another inferer \(overlap: 0.25, not 0.5\)"),
        ({"network_def": nn.Conv2d(3, 1, 5)}, r"another network def \(parameters: 28, not 76\)"),
        ({"network_def": nn.Conv2d(3, 1, 3, dilation=2)}, r"another network def \(sha256"),
    ],
)
def test_results_that_were_made_otherwise_are_refused(
    changes: dict[str, Any], message: str, bundle: Path, tmp_path: Path
) -> None:
    def made_with(folder: Path) -> dict[str, Any]:
        inferer = SlidingWindowInferer((32, 32), sw_batch_size=1)
        return {"network_def": nn.Conv2d(3, 1, 3), "preprocessing": steps(folder=folder), "inferer": inferer}

    out, moved = tmp_path / "out", tmp_path / "moved"
    ResultsFolder(out, bundle, made_with(out)).start([])
    write_record(out, tmp_path / "a.png", {"mask": "a.png"})
    ResultsFolder(out, bundle, made_with(out)).start([])
    out.rename(moved)  # another place, and other weights of the same network, are no difference here
    same = {**made_with(moved), "inferer": SlidingWindowInferer((32, 32), sw_batch_size=8, device="cpu")}
    ResultsFolder(moved, bundle, same).start([])
    with pytest.raises(InputError, match=message):
        ResultsFolder(moved, bundle, {**same, **changes}).start([])
    (tmp_path / "model.pt").write_bytes(b"mine")
    with pytest.raises(InputError, match="holds results of other weights than"):
        ResultsFolder(moved, bundle, same, weights=tmp_path / "model.pt").start([])


def test_a_start_that_left_no_result_blocks_nothing(bundle: Path, tmp_path: Path) -> None:
    ResultsFolder(tmp_path / "out", bundle, {"preprocessing": steps(32)}).start([])
    ResultsFolder(tmp_path / "out", bundle, {"preprocessing": steps(64)}).start([])
    write_record(tmp_path / "out", tmp_path / "a.png", {"mask": "a.png"})
    with pytest.raises(InputError, match="64, not 32"):
        ResultsFolder(tmp_path / "out", bundle, {"preprocessing": steps(32)}).start([])


def test_folders_may_be_written_in_another_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the bundle's folder its root is `.`, which other settings may be, too."""
    (tmp_path / "bundle").mkdir()
    monkeypatch.chdir(tmp_path / "bundle")
    made = {"sep": ".", "name": "masks", "metadata": "/data/x.json"}
    absolute = describe(
        {**made, "own": tmp_path / "bundle" / "a.json", "out": str(tmp_path / "bundle" / "masks" / "pictures")},
        {"bundle_root": tmp_path / "bundle", "output_dir": tmp_path / "bundle" / "masks"},
    )
    relative = describe(
        {**made, "own": "./a.json", "out": "masks/pictures"}, {"bundle_root": ".", "output_dir": Path("masks")}
    )
    assert absolute == {**made, "own": "<bundle_root>/a.json", "out": "<output_dir>/pictures"}
    assert relative == {**absolute, "name": "<output_dir>"}
