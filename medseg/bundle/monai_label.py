"""A bundle as a model of a MONAI Label server."""

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from monai.bundle import ConfigParser

from medseg.bundle.checks import check_bundle_root, check_weights
from medseg.bundle.export import copy_bundle, trained_values
from medseg.bundle.overrides import literal
from medseg.errors import InputError

_FILES = {"inference": "inference.yaml", "train": "train.yaml", "metadata": "metadata.json"}  # section -> file


def copy_for_label(bundle_dir: Path, app_dir: Path, values: Mapping[str, Any] | None = None) -> Path:
    """Copy a bundle into the models of a MONAI Label app, and merge its `configs/label.yaml` into the copy.

    `label.yaml` has a section each for `inference.yaml`, `train.yaml` and `metadata.json`, of id -> value. The bundle
    itself is only read. Weights that the copy has already are kept, as Label may have trained them; delete the copy to
    start from the bundle's own again.

    Args:
        bundle_dir: folder of the bundle; its name becomes that of the model.
        app_dir: folder of the app, made if there is none.
        values: id -> value that the network was trained with where the weights do not say it; with those that they say,
            written into the copy's `inference.yaml` and `train.yaml`.

    Returns:
        The folder of the copy, `app_dir/model/NAME`.

    Raises:
        InputError: if the folder is no bundle or has no `label.yaml` or no weights, a value is unknown, or the weights
            do not fit the network: Label itself would load the part that fits without a message.
    """
    weights = app_dir / "model" / bundle_dir.resolve().name / "models" / "model.pt"
    try:
        return _copy_for_label(bundle_dir.resolve(), weights, values or {})
    except InputError as error:
        if str(weights) not in str(error):
            raise
        raise InputError(f"{error} To start from the bundle's own weights, delete '{weights}'.") from error


def _copy_for_label(bundle_dir: Path, weights: Path, values: Mapping[str, Any]) -> Path:
    check_bundle_root(bundle_dir)
    differences = bundle_dir / "configs" / "label.yaml"
    if not differences.is_file():
        raise InputError(f"'{bundle_dir.name}' is no bundle for MONAI Label: it has no configs/label.yaml.")
    own, placed = bundle_dir / "models" / "model.pt", weights.parents[1]
    if not own.is_file() and not weights.is_file():
        raise InputError(f"MONAI Label starts from trained weights: train first, or copy some to '{own}'.")
    used = weights if weights.is_file() else own
    known = trained_values(bundle_dir, used, values, said_only=True)
    copy_bundle(bundle_dir, placed, known)
    for section, ids in ConfigParser.load_config_file(differences).items():
        file = placed / "configs" / _FILES[section]
        config = ConfigParser(ConfigParser.load_config_files(str(file)))
        for name, value in ids.items():
            config[name] = value
        ConfigParser.export_config_file(config.get(), file, fmt=file.suffix[1:])
    config = ConfigParser(ConfigParser.load_config_files(str(placed / "configs" / "inference.yaml")))
    config["bundle_root"] = literal(str(placed))
    check_weights(config.get_parsed_content("network_def"), used)
    if used == own:  # only weights that fit become those of the copy
        shutil.copy2(own, weights)
    return placed


def serve(model: Path, studies: str, port: int, settings: Sequence[tuple[str, str]] = ()) -> None:
    """Replace this process by MONAI Label's server of a copied bundle, listening on 127.0.0.1; does not return.

    Args:
        model: what `copy_for_label` returned.
        studies: folder of pictures or volumes, or the address of a DICOMweb server.
        port: the port to listen on.
        settings: name and value of further settings of Label's app `monaibundle`, such as `("preload", "true")`.

    Raises:
        InputError: if MONAI Label is not installed.
    """
    app, sample = model.parents[1], Path(sys.prefix, "monailabel", "sample-apps", "monaibundle")
    if not sample.is_dir():
        raise InputError("MONAI Label is not installed here: scripts/label_server.sh sets up its environment.")
    shutil.copytree(sample, app, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    # Label's defaults look for models on the network: those of the zoo, and SAM 2
    every = [("models", model.name), ("zoo_source", "local"), ("sam2", "false"), *settings]
    command = [sys.executable, "-m", "monailabel.main", "start_server", "--app", str(app), "--studies", studies]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    os.execv(sys.executable, command + [part for name, value in every for part in ("--conf", name, value)])
