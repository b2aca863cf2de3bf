"""How far SSFormer is from the published networks; run as a program it writes the table of docs/benchmarks.md."""

import json
import os
import sys
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from filling import filled

from medseg.cli.main import main
from medseg.networks import PUBLISHED_VARIANTS, SSFormer
from medseg.networks.layers.fusion import resize

SIZES = ((352, 352), (256, 320))


def differences(variant: str, parity_dir: Path) -> dict[str, float]:
    """Greatest difference per output and size, over the golden values' size where that exceeds 10."""
    published = json.loads((parity_dir / "variants.json").read_text())[variant]
    full = json.loads((parity_dir / "stats.json").read_text())[variant]
    golden = np.load(parity_dir / f"{variant}.npz")
    network = SSFormer(**PUBLISHED_VARIANTS[variant]).eval()
    with TemporaryDirectory() as folder:
        source, converted = Path(folder, f"{variant}.pth"), Path(folder, "model.pt")
        torch.save({"state_dict": filled(published["state_dict"])}, source)
        with redirect_stdout(StringIO()) as account:
            assert main(["convert", str(source), "--to", str(converted)]) == 0
        assert "missing or left over: none" in account.getvalue()
        network.load_state_dict(torch.load(converted, weights_only=True), strict=True)

    found: dict[str, float] = {}
    for height, width in SIZES:
        size = f"{height}x{width}"
        image = torch.from_numpy(np.random.default_rng(0).standard_normal((2, 3, height, width)).astype(np.float32))
        with torch.inference_mode():
            maps = network.encoder(image)
            # PPD adds what the published networks return as two
            logits = network.decoder.branches(maps) if hasattr(network.decoder, "branches") else network.decoder(maps)
            resized = [resize(x, height, width, network.align_corners) for x in logits]
        for i, level in enumerate(maps, start=1):
            step = 16 // 2**i
            found[f"stage{i} {size}"] = difference(level[:1, ::32, ::step, ::step], golden[f"stage{i}_{size}_sub"])
        for i, output in enumerate(full[size]["outputs"]):
            # some published networks return the decoder's own logits, resized or not
            candidates = [x for x in (*resized, *logits) if list(x.shape) == output["shape"]]
            ours = candidates[i] if len(candidates) > 1 else candidates[0]
            found[f"output{i} {size}"] = difference(ours[..., ::4, ::4], golden[f"out{i}_{size}_sub4"])
    return found


def difference(ours: torch.Tensor, golden: np.ndarray) -> float:
    scale = np.where(np.abs(golden) > 10, np.abs(golden), 1)
    return float((np.abs(ours.numpy() - golden) / scale).max())


def write_table() -> None:
    rows = ["| published variant | encoder | decoder | feature maps | logits |", "| --- | --- | --- | --- | --- |"]
    for variant, arguments in PUBLISHED_VARIANTS.items():
        found = differences(variant, Path(os.environ["MEDSEG_PARITY_DIR"]))
        worst = [max(value for name, value in found.items() if name.startswith(kind)) for kind in ("stage", "output")]
        cells = [variant, arguments["encoder"], arguments["decoder"], *(f"{value:.1e}" for value in worst)]
        rows.append("| " + " | ".join(cells) + " |")
    sys.stdout.write("\n".join(rows) + "\n")


if __name__ == "__main__":
    write_table()
