"""The commands of each bundle's README as a new user types them: from the bundle's folder, with relative paths."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from running import BUNDLES, environment

NAMES = sorted(path.name for path in BUNDLES.iterdir() if (path / "configs").is_dir())
COMMAND = re.compile(r"^python (-m monai\.bundle run (\w+) .*)$", re.MULTILINE)


OWN = ["--ckpt_dir", "eval/models"]  # the weights of this training, not those of the bundle


def documented(name: str, run_id: str) -> list[str]:
    """The arguments of the first command of that id in the README of a bundle."""
    commands = COMMAND.findall((BUNDLES / name / "docs" / "README.md").read_text())
    return shlex.split(next(arguments for arguments, found in commands if found == run_id))


def small(arguments: list[str], data: str) -> list[str]:
    """The same command at the size of a smoke test, with a relative folder in place of the documentation's."""
    config = arguments.index("--config_file") + 1
    files = re.findall(r"configs/[\w/]+\.yaml", arguments[config])
    changed = [
        re.sub(r"'?/(path/to|data)/\w+'?", lambda found: f"'{data}'" if "'" in found[0] else data, argument)
        for argument in arguments
    ]
    changed[config] = str([*files, "configs/variants/smoke.yaml"])
    return changed


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_first_commands(name: str, tmp_path: Path) -> None:
    shutil.copytree(BUNDLES / name, tmp_path / name, ignore=shutil.ignore_patterns("eval", "models", "output"))
    variants = "['configs/train.yaml','configs/variants/smoke.yaml']"
    commands = [
        ["-m", "monai.bundle", "run", "training", "--config_file", variants],  # with the folders of the config
        [
            *small(documented(name, "training"), "eval/phantoms"),
            "--overwrite",
            "True",
        ],  # their train.txt, by a relative dataset_dir
        small(documented(name, "evaluating"), "eval/phantoms"),
        small(documented(name, "inferring"), "eval/phantoms") + ([] if "msformer" in name else OWN),
    ]
    assert not any("/path/to" in argument or "/data/" in argument for command in commands for argument in command)
    for command in commands:
        done = subprocess.run(
            [sys.executable, *command],
            cwd=tmp_path / name,
            capture_output=True,
            text=True,
            env=environment(),
            timeout=3600,
            check=False,
        )
        assert done.returncode == 0, f"{shlex.join(command)}\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
    masks = [path for path in (tmp_path / name / "masks").iterdir() if path.suffix in {".png", ".gz"}]
    pictures = list((tmp_path / name / "eval" / "phantoms" / "images").iterdir())
    assert len(masks) >= len(pictures) > 1
