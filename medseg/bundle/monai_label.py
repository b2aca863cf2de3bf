"""A bundle as a model of a MONAI Label server: a copy with the few differences that Label needs."""

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from monai.bundle import ConfigParser

from medseg.bundle.checks import check_bundle_root, check_weights
from medseg.bundle.export import copy_bundle
from medseg.errors import InputError

__all__ = ["copy_for_label", "serve"]

_FILES = {"inference": "inference.yaml", "train": "train.yaml", "metadata": "metadata.json"}  # section -> file


def copy_for_label(bundle_dir: Path, app_dir: Path, values: Mapping[str, Any] | None = None) -> Path:
    """Copy a bundle to where an app of MONAI Label looks for models, in the form that Label needs.

    The bundle itself is only read. Its `configs/label.yaml` holds the differences: a section each for
    `inference.yaml`, `train.yaml` and `metadata.json`, of id -> value. Weights that are there already are kept, as
    they may have been trained by Label; delete the folder to start from the bundle's own again.

    Args:
        bundle_dir: folder of the bundle; its name becomes that of the model.
        app_dir: folder of the app, made if there is none.
        values: id -> value, written into the copy's `inference.yaml` and `train.yaml`: what the network was trained
            with in place of the configs' defaults.

    Returns:
        the folder of the copy, `app_dir/model/NAME`.

    Raises:
        InputError: if the folder is no bundle or none for Label, has no weights, a value is unknown, or the weights
            do not fit the network: Label itself would load what fits and say nothing.
    """
    bundle_dir = bundle_dir.resolve()
    check_bundle_root(bundle_dir)
    differences = bundle_dir / "configs" / "label.yaml"
    if not differences.is_file():
        raise InputError(f"'{bundle_dir.name}' is no bundle for MONAI Label: it has no configs/label.yaml.")
    own, placed = bundle_dir / "models" / "model.pt", app_dir / "model" / bundle_dir.name
    weights = placed / "models" / "model.pt"
    if not own.is_file() and not weights.is_file():
        raise InputError(f"MONAI Label starts from trained weights: train first, or copy some to '{own}'.")
    copy_bundle(bundle_dir, placed, values or {})
    for section, ids in ConfigParser.load_config_file(str(differences)).items():
        _merge(placed / "configs" / _FILES[section], ids)
    if not weights.is_file():
        shutil.copy2(own, weights)
    config = ConfigParser(ConfigParser.load_config_files(str(placed / "configs" / "inference.yaml")))
    check_weights(config.get_parsed_content("network_def"), weights)
    return placed


def _merge(file: Path, ids: Mapping[str, Any]) -> None:
    config = ConfigParser(ConfigParser.load_config_files(str(file)))
    for name, value in ids.items():
        config[name] = value
    ConfigParser.export_config_file(config.get(), str(file), fmt=file.suffix[1:])


def serve(model: Path, studies: str, port: int, confs: Sequence[tuple[str, str]] = ()) -> None:
    """Become MONAI Label's server of a placed bundle, on this machine only; does not return.

    Args:
        model: what `copy_for_label` returned.
        studies: folder of pictures or volumes, or the address of a DICOMweb server.
        port: where to listen on 127.0.0.1.
        confs: name and value of further settings of Label's app `monaibundle`, as `("preload", "true")`.

    Raises:
        InputError: if MONAI Label is not installed.
    """
    app, sample = model.parents[1], Path(sys.prefix, "monailabel", "sample-apps", "monaibundle")
    if not sample.is_dir():
        raise InputError("MONAI Label is not installed here: scripts/label_server.sh sets up its environment.")
    shutil.copytree(sample, app, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    # the local source, and no SAM 2, because both would be looked for on the network
    every = [("models", model.name), ("zoo_source", "local"), ("sam2", "false"), *confs]
    command = [sys.executable, "-m", "monailabel.main", "start_server", "--app", str(app), "--studies", studies]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    os.execv(sys.executable, command + [part for name, value in every for part in ("--conf", name, value)])
