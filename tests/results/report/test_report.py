import base64
import io
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from page_reader import Page
from PIL import Image
from report_folders import PROVENANCE, record, write_picture, write_records, write_scores

from medseg.cli.main import main
from medseg.errors import InputError
from medseg.results.report import embedding, plots, write_report, write_report_if
from medseg.results.report.reading import read_results

NASTY = "a<script>alert('1')</script>&amp;\"b\""


def ids(page: Page) -> set[str]:
    return {attrs["id"] for _tag, attrs in page.tags if "id" in attrs}


def test_an_inference_folder(tmp_path: Path) -> None:
    write_records(tmp_path, record("b", {"left lung": 1234.5, "right lung": None}), record("a", {"left lung": 0.0}))
    page = Page(write_report(tmp_path))
    assert "Segmentation report: a_bundle 0.1.0" in page.texts_of("h1")
    assert "Segmentation report: a_bundle 0.1.0, 2026-03-04 05:06 UTC" in page.texts_of("title")
    text = page.everything()
    for fact in (PROVENANCE["weights_sha256"], PROVENANCE["command"], "2.13.0", "1.6.1", "cpu"):
        assert fact in text
    cells = [(attrs.get("class"), attrs["data-value"]) for attrs in page.all("td")]
    volumes = [value for kind, value in cells if kind == "number"][1::5]
    assert volumes == ["0.0", "1234.5", ""]  # by case and label, the unknown one empty
    assert "1\u202f234.50" in page.texts_of("td")
    assert "\u2212800.5" in page.texts_of("td")
    assert [text.strip() for text in page.texts_of("button") if "Volume" in text or "HU" in text] == [
        "Volume (ml)",
        "Mean intensity (HU)",
    ]
    assert {attrs["href"] for attrs in page.all("a")} == {"#case-0", "#case-1"} <= {f"#{name}" for name in ids(page)}
    assert [attrs["alt"] for attrs in page.pictures()] == ["Outlines on a", "Outlines on b"]
    # the colors of the outlines, label by label: in each row of the table and in the legend
    left, right = ("240, 228, 66", "left lung"), ("86, 180, 233", "right lung")
    swatches = re.findall(r'swatch" style="background:rgb\(([^)]*)\)"></span>([^<]*)<', page.text)
    assert swatches == [left, left, right, left, right]
    assert not page.plots()
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["report.html"]


def test_an_evaluation_folder_shows_the_worst_first(tmp_path: Path) -> None:
    header = ["Dice_left", "Dice_right", "surface_Dice_left", "HD95_left"]
    lines = [
        ["A", "/d/good.nii.gz", "0.950000", "0.900000", "0.1", "2.5"],
        ["A", "/d/none.nii.gz", "nan", "nan", "0.1", "nan"],
        ["A", "/d/bad.nii.gz", "0.200000", "0.400000", "0.1", "inf"],
        ["B", "/e/good.nii.gz", "0.600000", "nan", "0.1", "7"],
    ]
    write_scores(tmp_path, header, lines)
    (tmp_path / "table.csv").write_text(
        "set,images,Dice_left,Dice_right\nA,3,0.575,0.65\nB,1,0.6,nan\nall images,4,0.58,0.65\n"
    )
    page = Page(write_report(tmp_path))
    assert [attrs["alt"] for attrs in page.pictures()] == [
        f"Outlines on {name}" for name in ("bad", "good", "good", "none")
    ]
    captions = [text.strip() for text in page.texts_of("span") if "Dice" in text or text.strip() in "AB"]
    assert captions[:6] == ["A", "Dice_left 0.200", "Dice_right 0.400", "B", "Dice_left 0.600", "Dice_right \u2013"]
    # a plot for each Dice column and set that has values
    labels = [attrs["alt"] for attrs in page.plots()]
    assert [label.partition(":")[0] for label in labels] == ["Dice_left, A", "Dice_left, B", "Dice_right, A"]
    assert "2 cases, median 0.575, quartiles 0.388 to 0.762, mean 0.575, lowest 0.200" in labels[0]
    rows = [attrs["data-value"] for attrs in page.all("td")]
    assert rows[: 3 * 4] == ["A", "3.0", "0.575", "0.65", "B", "1.0", "0.6", "", "all images", "4.0", "0.58", "0.65"]
    assert rows[12:18] == ["bad", "A", "0.2", "0.4", "0.1", ""]  # infinity has no place in the order
    text = page.everything()
    assert {"left", "right", "true label"} <= {text.strip() for text in page.texts_of("li")}
    assert "no records of an inference" in text
    assert "from head to foot" in text


@pytest.mark.parametrize(
    ("columns", "dice"),
    [
        (["Dice@0.5", "IoU@0.5", "mDice256"], ["Dice@0.5"]),
        (["Dice", "HM", "XOR", "oracle_Dice"], ["Dice"]),
        (["IoU", "F1"], ["F1"]),  # whatever a column is called
    ],
)
def test_which_columns_are_plotted(columns: list[str], dice: list[str], tmp_path: Path) -> None:
    write_scores(tmp_path, columns, [["s", "/d/x.png", *(["0.5"] * len(columns))]], tuple(dice))
    page = Page(write_report(tmp_path))
    assert [attrs["alt"].partition(":")[0] for attrs in page.plots()] == dice
    assert len(page.pictures()) == 1


def test_without_its_columns_an_evaluation_has_tables_only(tmp_path: Path) -> None:
    write_scores(tmp_path, ["Dice"], [["s", "/d/x.png", "0.5"]])
    for damage in ((tmp_path / "columns.json").unlink, lambda: (tmp_path / "columns.json").write_text("[]")):
        damage()
        page = Page(write_report(tmp_path))
        assert "columns.json" in page.texts_of("b")
        assert page.plots() == []
        assert "0.5" in {attrs["data-value"] for attrs in page.all("td")}


def test_bars_lie_where_the_values_are() -> None:
    figure = plots.histogram([0.0, 0.04, 0.52, 1.0])
    bars, dots = figure.axes
    shown = [bar for bar in bars.patches if bar.get_height()]
    middles = [bar.get_x() + bar.get_width() / 2 for bar in shown]
    assert middles == pytest.approx([0.025, 0.525, 0.975])
    assert [bar.get_height() for bar in shown] == [2, 1, 1]
    assert dots.lines[0].get_xdata() == pytest.approx([0.0, 0.04, 0.52, 1.0])
    assert [axes.lines[-1].get_xdata()[0] for axes in (bars, dots)] == pytest.approx([0.28] * 2)
    assert bars.get_xlim() == dots.get_xlim() == (0, 1)


def test_plots_take_the_colors_of_the_page(tmp_path: Path) -> None:
    write_scores(tmp_path, ["Dice"], [["s", "/d/x.png", "0.5"], ["s", "/d/y.png", "0.7"]])
    (plot,) = Page(write_report(tmp_path)).plots()
    svg = base64.b64decode(plot["src"].removeprefix("data:image/svg+xml;base64,")).decode()
    assert "prefers-color-scheme:dark" in svg
    assert "currentColor" in svg
    assert "#010203" not in svg
    assert Page(write_report(tmp_path)).plots() == [plot]  # the same results give the same plot


def test_the_page_needs_nothing_else(tmp_path: Path) -> None:
    write_records(tmp_path, record("a", {"lung": 1.0}))
    write_scores(tmp_path, ["Dice"], [["s", "/d/x.png", "0.5"]])
    page = Page(write_report(tmp_path))
    assert len(page.pictures()) == 2
    for _tag, attrs in page.tags:
        for name in {"src", "href", "srcset", "action", "data", "poster"} & attrs.keys():
            assert re.match(r"data:image/(jpeg|svg\+xml);base64,|#", attrs[name])
    assert not page.all("link")
    assert "url(" not in page.text
    assert "@import" not in page.text
    assert "http:" not in page.text
    assert "https:" not in page.text
    policy = next(a["content"] for a in page.all("meta") if a.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in policy
    for attrs in page.pictures():
        data = base64.b64decode(attrs["src"].partition(",")[2])
        assert str(Image.open(io.BytesIO(data)).size) == f"({attrs['width']}, {attrs['height']})"


def test_every_text_is_escaped(tmp_path: Path) -> None:
    one = record(NASTY, {NASTY: 1.0}, bundle=NASTY, device=NASTY)
    (tmp_path / "records").mkdir()
    (tmp_path / "records" / "x.json").write_text(json.dumps(one))
    odd = "a<b>&'c'"
    write_scores(tmp_path, [f"Dice_{odd}"], [[odd, f"/d/{odd}.png", "0.5"]])
    (tmp_path / "problems.json").write_text(json.dumps([{"case": NASTY, "problem": NASTY}]))
    page = Page(write_report(tmp_path))
    assert len(page.all("script")) == 1
    assert not page.all("b>")
    assert "<script>alert" not in page.text
    text = page.everything()
    assert text.count(NASTY) >= 6  # title, heading, problem twice, table twice, facts
    assert odd in text
    assert f"Outlines on {odd}" in {attrs["alt"] for attrs in page.pictures()}
    assert NASTY in {attrs["data-value"] for attrs in page.all("td")}


def test_problems_name_no_folders(tmp_path: Path) -> None:
    source = "/home/jane doe/scans/study.zip/@1.2/a.dicom"
    told = f"/home/jane doe/scans/study.zip cannot be read, {source} neither, nor is a mask in {tmp_path / 'a.png'}."
    (tmp_path / "problems.json").write_text(json.dumps([{"case": "a", "source": source, "problem": told}]))
    (problem,) = read_results(tmp_path).problems
    assert problem == ("a", "study.zip cannot be read, a.dicom neither, nor is a mask in a.png.")
    assert "jane" not in write_report(tmp_path).read_text()


def test_problems_are_listed_and_do_not_end_it(tmp_path: Path) -> None:
    write_records(tmp_path, record("a", {"lung": 1.0}))
    (tmp_path / "records" / "half.json").write_text('{"schema": ')
    (tmp_path / "records" / "new.json").write_text(json.dumps(record("new", {}) | {"schema": "medseg-record-9"}))
    (tmp_path / "records" / "bare.json").write_text(json.dumps({"schema": "medseg-record-1", "case": "bare"}))
    (tmp_path / "problems.json").write_text(json.dumps([{"case": "cut", "problem": "cannot be read."}]))
    (tmp_path / "pictures" / "a.png").write_bytes(b"no picture")
    text = Page(write_report(tmp_path)).everything()
    parts = ("half.json", "not a readable record", "medseg-record-9", "has no provenance", "cut", "cannot be read.")
    assert [part for part in parts if part not in text] == []
    assert "Pictures left out: 1" in text


def test_records_also_come_from_the_tables(tmp_path: Path) -> None:
    old, new = record("a", {"lung": 1.0}), record("a", {"lung": 2.0})
    (tmp_path / "measurements.json").write_text(json.dumps({"records": [old, record("b", {"lung": 3.0})]}))
    write_records(tmp_path, new)
    page = Page(write_report(tmp_path))
    assert [a["data-value"] for a in page.all("td") if a.get("class") == "number"][1::5] == ["2.0", "3.0"]


def test_runs_that_differ_are_told(tmp_path: Path) -> None:
    write_records(tmp_path, record("a", {"lung": 1.0}), record("b", {"lung": 1.0}, weights_sha256="cd" * 32))
    text = Page(write_report(tmp_path)).everything()
    assert "runs that differ" in text
    assert "cd" * 32 in text
    assert "ab" * 32 in text


def test_only_a_contact_sheet(tmp_path: Path) -> None:
    write_scores(tmp_path, ["Dice"], [["s", "/d/x.png", "0.5"]])
    shutil.rmtree(tmp_path / "pictures")
    write_picture(tmp_path / "pictures" / "overlays.png", 0)
    assert [attrs["alt"] for attrs in Page(write_report(tmp_path)).pictures()] == ["Outlines on The first images"]


def test_many_pictures_are_made_smaller_and_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedding, "_SIDES", ((2, 60), (3, 30)))
    monkeypatch.setattr(embedding, "_SMALLEST_SIDE", 12)
    paths = [tmp_path / f"{n}.png" for n in range(4)]
    for n, path in enumerate(paths):
        write_picture(path, n, (20, 80))
    sizes = [{picture[1:] for picture in embedding.embedded(paths[:count]).values()} for count in (1, 2, 3, 4)]
    assert sizes == [{(60, 15)}, {(60, 15)}, {(30, 8)}, {(12, 3)}]
    one = len(base64.b64decode(embedding.embedded(paths)[paths[0]].address.partition(",")[2]))
    monkeypatch.setattr(embedding, "LARGEST_PICTURES", int(2.5 * one))
    assert list(embedding.embedded(paths)) == paths[:2]


def test_an_empty_folder_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    for folder, message in ((tmp_path, "holds no results"), (tmp_path / "missing", "There is no folder")):
        assert main(["report", str(folder)]) == 1
        error = capsys.readouterr().err
        assert error.startswith("Error: ")
        assert error.count("\n") == 1
        assert message in error
    assert not (tmp_path / "report.html").exists()
    write_records(tmp_path, record("a", {"lung": 1.0}))
    assert main(["report", str(tmp_path)]) == 0
    assert "report.html" in capsys.readouterr().out


def test_a_foreign_table_is_refused(tmp_path: Path) -> None:
    (tmp_path / "images.csv").write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match=r"images\.csv' has no columns set and image"):
        write_report(tmp_path)


def test_the_switch(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_report_if(True, tmp_path)  # every case has failed: the run's own error must come through
    assert "No report" in caplog.text
    write_records(tmp_path, record("a", {"lung": 1.0}))
    write_report_if(False, tmp_path)
    assert not (tmp_path / "report.html").exists()
    write_report_if(True, tmp_path)
    assert (tmp_path / "report.html").is_file()


@pytest.mark.slow
def test_order_of_values(tmp_path: Path) -> None:
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    shutil.copy(Path(embedding.__file__).with_name("templates") / "report.js", tmp_path / "report.cjs")
    program = """
      const { compareValues } = require("./report.cjs");
      const order = (values, kind, down) => [...values].sort((a, b) => compareValues(a, b, kind, down));
      const numbers = ["10.5", "", "9", "-3", "1e-05", ""], names = ["case10", "", "Case2", "case1"];
      console.log(JSON.stringify([order(numbers, "number", false), order(numbers, "number", true),
                                  order(names, "text", false), order(names, "text", true)]));
    """
    done = subprocess.run(["node", "-e", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [
        ["-3", "1e-05", "9", "10.5", "", ""],
        ["10.5", "9", "1e-05", "-3", "", ""],
        ["case1", "Case2", "case10", ""],
        ["case10", "Case2", "case1", ""],
    ]


@pytest.mark.slow
def test_in_a_browser(tmp_path: Path) -> None:
    """A click on a heading sorts, another turns the order, a click on a picture enlarges it; nothing is too wide."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium is installed")
    cases = {"c10": 5.0, "c9": None, "c1": 20.0}
    write_records(tmp_path, *(record(name, {"lung": volume}) for name, volume in cases.items()))
    page = write_report(tmp_path).read_text(encoding="utf-8")
    probe = """<script>
      const button = (name) => [...document.querySelectorAll("th button")].find((b) => b.textContent === name);
      const cases = () => [...document.querySelectorAll("tbody tr")].map((row) => row.cells[0].textContent).join(" ");
      const found = [];
      for (const name of ["Volume (ml)", "Volume (ml)", "Case"]) {
        button(name).click();
        found.push(cases() + " " + button(name).parentElement.getAttribute("aria-sort"));
      }
      document.querySelector(".gallery button").click();
      found.push(document.querySelectorAll("figure.large").length);
      found.push(document.documentElement.scrollWidth <= document.documentElement.clientWidth);
      document.title = JSON.stringify(found);
    </script></body>"""
    (tmp_path / "probed.html").write_text(page.replace("</body>", probe), encoding="utf-8")
    options = ["--headless", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
    options += ["--disable-component-update", "--disable-sync", "--window-size=500,900"]
    options += ["--no-sandbox"] if os.geteuid() == 0 else []  # Chromium's demand of root
    done = subprocess.run(
        [browser, *options, f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", f"file://{tmp_path}/probed.html"],
        capture_output=True,
        text=True,
        check=False,
        timeout=3600,
    )
    title = re.search(r"<title>(.*?)</title>", done.stdout)
    assert title, done.stderr
    assert json.loads(title[1]) == ["c10 c1 c9 ascending", "c1 c10 c9 descending", "c1 c9 c10 ascending", 1, True]
