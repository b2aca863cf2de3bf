"""What the commands of the documentation are given in place of the data, weights and sizes that they name."""

import re
import shutil
from pathlib import Path
from typing import Any

import torch
from dicom_files import slices_of, write_slices

from medseg.networks import SSFormer
from medseg.phantoms import lung_volume_phantom, write_phantoms

PHANTOMS = {"polyp": (64, 72), "lung_volume": (40, 36, 12)}
# of the pages' `--weights`: arguments of SSFormer
WEIGHTS: dict[str, dict[str, Any]] = {
    "small.pt": {"decoder_channels": 64},
    "RUN/models/model.pt": {"decoder_channels": 64},
    "other.pt": {"decoder": "mla", "decoder_options": {"fuse": True}},
}
# the bundle that ships without weights: they know their network, as those of a training do
LUNG = "bundles/ssformer_lung_ct_segmentation/models/model.pt"
LUNG_VALUES = {"encoder": "mit_b0", "decoder_channels": 16, "image_size": 64, "spacing": [5.0, 5.0, 8.0]}


def write_stand_ins(folder: Path) -> None:
    """Small data sets `polyp`, `lung_volume` and `series` (DICOM), the files of `WEIGHTS`, and `LUNG`."""
    for kind, size in PHANTOMS.items():
        write_phantoms(kind, folder / kind, 3, 0, size)
    volume, _, affine = lung_volume_phantom(0, PHANTOMS["lung_volume"], 0)
    write_slices(folder / "series", slices_of(volume, affine))
    torch.manual_seed(0)
    for name, options in {**WEIGHTS, LUNG: {"decoder_channels": 16, "out_channels": 3}}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        state_dict: Any = SSFormer(encoder="mit_b0", **options).state_dict()
        if name == LUNG:
            state_dict.medseg = {"trained_with": LUNG_VALUES}
        torch.save(state_dict, folder / name)


def put_weights(page: str, stand_ins: Path, project: Path) -> None:
    """Copy the weights that a page names, and those of the lung bundle, to their places in the project."""
    for name in (*WEIGHTS, LUNG):
        if name == LUNG or f"--weights {name} " in page:
            (project / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(stand_ins / name, project / name)


def places(page: str, stand_ins: Path, home: Path) -> dict[str, str]:
    """Pattern of what a page names -> the stand-in. `home` is where the commands of the page are run."""
    if page.startswith("bundles/"):  # phantoms of the page's first training, by a relative path
        volumes = {r"/path/to/volumes": str(stand_ins / "lung_volume")} if "/msformer_lung" in page else {}
        data = {**volumes, r"/(path/to|data)/\w+": "eval/phantoms"}
    else:
        data = {
            r"/path/to/(series|tree)": str(stand_ins / "series"),
            r"/path/to/(folder|test)\b|\bDATA\b": str(stand_ins / "polyp"),
            r"/path/to/images|^images$|\bINPUT\b": str(stand_ins / "polyp" / "images"),
            r"/path/to/(?=\w+\.zip)": f"{home}/",
        }
    return {**data, r"^FILE$": str(stand_ins / "small.pt"), r"^OUTPUT_DIR$|\bOUTPUT\b": f"{home}/results"}


def in_place(text: str, patterns: dict[str, str]) -> str:
    """A word of a command, or a Python block, with the stand-ins."""
    for pattern, stand_in in patterns.items():
        text = re.sub(pattern, stand_in, text)
    return text


def smaller(arguments: list[str], page: str) -> list[str]:
    """The same `python -m ...` at the size of a smoke test. Weights tell inference the size of their network."""
    out = list(arguments)
    if "--config_file" in out and (out[3] != "inferring" or "/msformer" in page):
        place = out.index("--config_file") + 1
        files = re.findall(r"configs/[\w/]+\.yaml", out[place])
        out[place] = str([file for file in files if "smoke" not in file] + ["configs/variants/smoke.yaml"])
        if "configs/resume.yaml" in files:  # one more epoch than there is
            out += ["--epochs", "2"]
        elif out[3] == "training" and "/msformer" not in page:  # each training of a page comes after another one
            out += ["--overwrite", "True"]
    elif out[1:3] == ["medseg", "export"] and "--to" in out:  # one export of a page has ONNX
        out.append("--no-onnx")
    return out
