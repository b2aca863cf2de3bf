"""`docs/add_a_bundle.md`, followed to the letter in a copy of the checkout."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from running import environment

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"```bash\n(.*?)```", re.DOTALL)


@pytest.mark.slow
def test_the_page_makes_a_bundle(tmp_path: Path) -> None:
    for folder in ("medseg", "bundles", "tests"):
        ignored = shutil.ignore_patterns("__pycache__", "models", "eval")
        shutil.copytree(ROOT / folder, tmp_path / folder, symlinks=True, ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    commands = "\n".join(BLOCK.findall((ROOT / "docs" / "add_a_bundle.md").read_text()))
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands],
        cwd=tmp_path,
        env={**environment(), "PATH": path, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "| Dice " in done.stdout
    assert done.stdout.count(".nii.gz\n") == 6
    assert re.search(r"\d+ passed", done.stdout)
