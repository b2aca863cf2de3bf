"""Run a bundle's configs: in this process for speed, or by the command line as a user does."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from monai.bundle import ConfigWorkflow, run

BUNDLES = Path(__file__).parents[2] / "bundles"


def config_files(bundle: str, *names: str) -> list[str]:
    return [str(BUNDLES / bundle / "configs" / f"{name}.yaml") for name in names]


def run_here(run_id: str, bundle: str, *configs: str, **overrides: Any) -> None:
    run(
        run_id,
        config_file=config_files(bundle, *configs),
        meta_file=str(BUNDLES / bundle / "configs" / "metadata.json"),
        logging_file=False,  # the bundle's own would hold on to the captured stdout
        bundle_root=str(BUNDLES / bundle),
        **overrides,
    )


def workflow_of(kind: str, bundle: str, *configs: str, **overrides: Any) -> ConfigWorkflow:
    return ConfigWorkflow(
        config_file=config_files(bundle, *configs),
        meta_file=str(BUNDLES / bundle / "configs" / "metadata.json"),
        logging_file=False,
        workflow_type=kind,
        bundle_root=str(BUNDLES / bundle),
        **overrides,
    )


def command(run_id: str, bundle: str, *configs: str, **overrides: Any) -> list[str]:
    """The arguments after `python -m`."""
    options = {"config_file": str(config_files(bundle, *configs)), "bundle_root": BUNDLES / bundle, **overrides}
    pairs = [(f"--{key}", str(value)) for key, value in options.items()]
    return ["monai.bundle", "run", run_id, *(part for pair in pairs for part in pair)]


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(BUNDLES.parent)}


def run_command(run_id: str, bundle: str, *configs: str, **overrides: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *command(run_id, bundle, *configs, **overrides)],
        capture_output=True,
        text=True,
        env=environment(),
        timeout=3600,
        check=False,
    )
