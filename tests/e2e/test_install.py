"""`scripts/setup.sh`: the package is found from everywhere, also from the folder that holds the clone."""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_without_a_folder_it_says_how_it_is_used() -> None:
    done = subprocess.run(["bash", ROOT / "scripts" / "setup.sh"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("usage: bash scripts/setup.sh FOLDER [EXTRAS]")
    assert done.stdout == ""


@pytest.mark.slow
def test_the_package_is_found_beside_the_clone(tmp_path: Path) -> None:
    clone = tmp_path / "medseg"
    clone.mkdir()
    for part in ("medseg", "scripts", "bundles"):
        shutil.copytree(ROOT / part, clone / part, ignore=shutil.ignore_patterns("__pycache__", "models"))
    for part in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / part, clone)
    # an environment that has the packages of this one already
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    packages = next((tmp_path / "venv" / "lib").glob("*/site-packages"))
    (packages / "beside.pth").write_text(f"import sys; sys.path.append({sysconfig.get_path('purelib')!r})\n")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    subprocess.run(["bash", clone / "scripts" / "setup.sh", tmp_path / "venv"], env=environment, check=True)

    def python(*arguments: str, folder: Path) -> str:
        command = [tmp_path / "venv" / "bin" / "python", *arguments]
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    for folder in (tmp_path, clone, clone / "bundles", Path("/")):
        assert Path(python("-c", "import medseg; print(medseg.__file__)", folder=folder)).parents[1] == clone
        assert python("-m", "medseg", "--version", folder=folder).startswith("medseg ")
