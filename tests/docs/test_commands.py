"""The commands and Python blocks of the documentation, as they stand there, on small data."""

import shutil
from pathlib import Path

import pytest
from doc_blocks import CODE, PAGES, ROOT, blocks_of, commands_of, named
from doc_runner import run_python
from doc_stand_ins import in_place, places, put_weights, smaller, write_stand_ins

RUN = [page for page in PAGES if any(block.language in CODE and not block.note for block in blocks_of(page))]
NEEDS = {"docs/dicom.md": "highdicom", "docs/tracking.md": "mlflow", "docs/export.md": "onnxscript"}
TRAIN = ["-m", "monai.bundle", "run", "training", "--config_file", "configs/train.yaml"]
RESULTS = ["-m", "medseg", "run", "ssformer_polyp_segmentation", "INPUT", "OUTPUT"]
OWN = ["--dataset_dir", "eval/phantoms", "--ckpt_dir", "eval/models", "--output_dir", "own_masks"]
INFER = ["-m", "monai.bundle", "run", "inferring", "--config_file", "configs/inference.yaml", *OWN]
# what the reader of a page has done before
BEFORE = {"docs/measurements.md": RESULTS, "docs/report.md": RESULTS}
# what is there afterwards
WRITTEN = {
    "README.md": ["bundles/*/masks/*.png"],
    "docs/run.md": ["results/measurements.csv", "masks/*.png"],
    "docs/measurements.md": ["results/measurements.csv"],
    "docs/report.md": ["results/report.html"],
    "docs/audit.md": ["audit/audit.json", "audit/audit.html"],
    "docs/dicom.md": ["bundles/*/masks/*.dcm", "bundles/*/mask.dcm"],
    "docs/tracking.md": ["bundles/*/runs/a/mlruns.db"],
    "docs/export.md": ["*.zip", "downloads/*/models/model.onnx", "downloads/*/masks/*.png"],
}


@pytest.fixture(scope="module")
def stand_ins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stand_ins")
    write_stand_ins(folder)
    return folder


@pytest.fixture
def project(page: Path, tmp_path: Path, stand_ins: Path) -> Path:
    """A copy of the bundles and the weights that the page wants."""
    ignored = shutil.ignore_patterns("eval", "masks", "runs", "checkpoint.pt")
    shutil.copytree(ROOT / "bundles", tmp_path / "bundles", ignore=ignored)
    put_weights(page.read_text(), stand_ins, tmp_path)
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("page", RUN, ids=named)
def test_blocks_run(page: Path, project: Path, stand_ins: Path) -> None:
    if named(page) in NEEDS:
        pytest.importorskip(NEEDS[named(page)])
    home = project / page.relative_to(ROOT).parents[1] if named(page).startswith("bundles/") else project
    patterns = places(named(page), stand_ins, home)
    # a bundle is first trained on phantoms in the folders of its config; the commands of its page then use these
    before = BEFORE.get(named(page), TRAIN if home != project else [])
    calls = [("before", [in_place(word, patterns) for word in before], home)] if before else []
    folder = home
    for block in blocks_of(page):
        if block.language == "python" and not block.note:  # where the block before has led
            calls.append((str(block), ["-c", in_place(block.text, patterns)], folder))
        elif block.language == "bash" and not block.note:
            folder = home
            for program, *arguments in commands_of(block):
                if program == "cd":
                    folder = folder / arguments[0]
                    continue
                assert program == "python", f"{block}: no test runs '{program}', say so above the block"
                calls.append((str(block), [in_place(argument, patterns) for argument in arguments], folder))
    if "/ssformer" in named(page):
        calls.append(("with the weights of its training", INFER, home))
    for place, arguments, where in calls:
        assert not any("/path/to" in argument for argument in arguments), f"{place}: no stand-in for {arguments}"
        status = run_python(smaller(arguments, named(page)), where, project / "log.txt")
        assert status == 0, f"{place}: {arguments}\n{(project / 'log.txt').read_text()[-3000:]}"
    assert [pattern for pattern in WRITTEN.get(named(page), []) if not any(project.glob(pattern))] == []
    if home != project:
        masks = [path for path in (home / "masks").iterdir() if path.suffix in {".png", ".gz"}]
        pictures = list((home / "eval" / "phantoms" / "images").iterdir())
        assert len(masks) >= len(pictures) > 1
