"""What the commands of the documentation are given in place of the data, weights and sizes that they name."""

import re
import shutil
from pathlib import Path
from typing import Any

import torch
from dicom_files import slices_of, write_slices

from medseg.networks import SSFormer
from medseg.phantoms import lung_volume_phantom, write_phantoms

POLYP, LUNG = "ssformer_polyp_segmentation", "ssformer_lung_ct_segmentation"
PHANTOMS = {"polyp": (64, 72), "lung_volume": (40, 36, 12)}
# of the pages' `--weights`, of a mit_b0
WEIGHTS: dict[str, dict[str, Any]] = {
    "model.pt": {"decoder_channels": 16},
    "small.pt": {"decoder_channels": 64},
    "RUN/models/model.pt": {"decoder_channels": 64},
    "converted.pt": {"decoder": "mla", "decoder_options": {"fuse": True}},
    f"bundles/{POLYP}/models/model.pt": {"decoder_channels": 16},
    f"bundles/{LUNG}/models/model.pt": {"decoder_channels": 16, "out_channels": 3},
}
# the network of `smoke.yaml`, for commands that take no config files
SMOKE = {"encoder": "mit_b0", "decoder_channels": "16", "image_size": "64"}


def write_stand_ins(folder: Path) -> None:
    """Small data sets `polyp`, `lung_volume` and `series` (DICOM), and the files of `WEIGHTS`."""
    for kind, size in PHANTOMS.items():
        write_phantoms(kind, folder / kind, 3, 0, size)
    volume, _, affine = lung_volume_phantom(0, PHANTOMS["lung_volume"], 0)
    write_slices(folder / "series", slices_of(volume, affine))
    torch.manual_seed(0)
    for name, options in WEIGHTS.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        torch.save(SSFormer(encoder="mit_b0", **options).state_dict(), folder / name)


def put_weights(page: str, stand_ins: Path, project: Path) -> None:
    """Weights of the bundles, and those that a page names, in their places."""
    for name in WEIGHTS:
        if name.startswith("bundles/") or f"--weights {name} " in page.replace("\n", " "):
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
    return {**data, r"^FILE$": str(stand_ins / "model.pt"), r"^OUTPUT_DIR$|\bOUTPUT\b": f"{home}/results"}


def in_place(text: str, patterns: dict[str, str]) -> str:
    """A word of a command, or a Python block, with the stand-ins."""
    for pattern, stand_in in patterns.items():
        text = re.sub(pattern, stand_in, text)
    return text


def smaller(arguments: list[str], where: Path) -> list[str]:
    """The same `python -m ...` at the size of a smoke test; `where` is the folder that it runs in."""
    out = list(arguments)
    if "--config_file" in out:
        place = out.index("--config_file") + 1
        files = re.findall(r"configs/[\w/]+\.yaml", out[place])
        out[place] = str([file for file in files if "smoke" not in file] + ["configs/variants/smoke.yaml"])
        if "configs/resume.yaml" in files:  # one more epoch than there is
            out += ["--epochs", "2"]
        elif "training" in out and "\noverwrite:" in (where / "configs" / "train.yaml").read_text():
            out += ["--overwrite", "True"]  # a page trains more than once
    elif out[1] == "medseg" and out[2] in ("run", "export"):
        given = {word.partition("=")[0] for word in out}
        network = {"encoder": SMOKE["encoder"]} if given & {"encoder", "decoder"} else SMOKE
        out += [part for name, value in network.items() if name not in given for part in ("--set", f"{name}={value}")]
    return out
