"""Print the figures of a model card: what the weights say of themselves, and an evaluation with 95 % intervals.

    python scripts/model_card.py WEIGHTS EVALUATION_DIR

EVALUATION_DIR is the output_dir of a bundle's evaluation, with images.csv. The intervals are bootstrapped over the
images (`medseg.results.intervals`); they say nothing about another training run.
"""

import csv
import sys
from pathlib import Path

import numpy as np
import yaml

from medseg.files import file_sha256
from medseg.networks.checkpoints import read_facts
from medseg.results.intervals import mean_interval

_NOT_METRICS = ("set", "image", "maxEm")  # the maximum is that of the averaged curve, not of each image


def main() -> None:
    """Print Markdown."""
    weights, evaluation = map(Path, sys.argv[1:])
    facts = yaml.safe_dump(read_facts(weights), sort_keys=False, default_flow_style=None, width=110).strip()
    print(f"`{weights.name}`, {weights.stat().st_size / 1e6:.1f} MB, SHA-256 `{file_sha256(weights)}`. It contains:\n")
    print(f"```yaml\n{facts}\n```\n")
    with open(evaluation / "images.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    metrics = [name for name in rows[0] if name not in _NOT_METRICS]
    print(f"| test set | images | {' | '.join(metrics)} |\n|---|---:|{'---:|' * len(metrics)}")
    for name in dict.fromkeys(row["set"] for row in rows):
        values = {m: np.array([float(row[m]) for row in rows if row["set"] == name]) for m in metrics}
        cells = [_interval(values[metric]) for metric in metrics]
        print(f"| {name} | {len(values[metrics[0]])} | {' | '.join(cells)} |")


def _interval(values: np.ndarray) -> str:
    found = mean_interval(values)
    return f"{found.mean:.3f} [{found.low:.3f}, {found.high:.3f}]"


if __name__ == "__main__":
    main()
