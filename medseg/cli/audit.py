"""`medseg audit`: what a dataset holds, and which of its images show the same thing."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from medseg.cli.options import add_command


def add_audit(commands: Any) -> None:
    """Add the command to the subparsers of the program."""
    purpose = "describe pairs of image and mask, and find copies and near duplicates, as JSON and one HTML page"
    examples = ("audit polyps", "audit polyps --splits train.txt test.txt", "audit polyps --against other_polyps")
    parser = add_command(commands, "audit", purpose, *examples)
    parser.add_argument("dataset", type=Path, metavar="DATASET", help="folder with images/ and masks/")
    parser.add_argument("--splits", nargs="+", default=[], metavar="FILE", help="split files, each a part of DATASET")
    parser.add_argument("--against", nargs="+", default=[], type=Path, metavar="DATASET", help="further folders")
    parser.add_argument(
        "--to", type=Path, default=Path("audit"), metavar="FOLDER", help="for audit.json and audit.html"
    )
    parser.set_defaults(run=_audit)


def _audit(args: argparse.Namespace) -> None:
    from medseg.data.listing import find_pairs
    from medseg.data.splits import split_path
    from medseg.files import atomic_write
    from medseg.results.audit import audit_pairs
    from medseg.results.report.audit_page import write_audit_page

    parts = {Path(split).stem: find_pairs(args.dataset, split_path(args.dataset, split)) for split in args.splits}
    if not parts:
        parts[args.dataset.resolve().name] = find_pairs(args.dataset)
    parts.update({folder.resolve().name: find_pairs(folder) for folder in args.against})
    audit = audit_pairs(parts)
    args.to.mkdir(parents=True, exist_ok=True)
    with atomic_write(args.to / "audit.json") as path:
        path.write_text(json.dumps(audit, indent=1) + "\n", encoding="utf-8")
    write_audit_page(audit, args.to / "audit.html", args.dataset.resolve().name)
    suspicious = [pair for pair in audit["similar"] if pair["similarity"] >= audit["suspicious_from"]]
    images = sum(part["images"] for part in audit["parts"].values())
    lines = [f"{images} images, {len(audit['copies'])} groups of copies, {len(suspicious)} suspicious pairs:"]
    for pair in suspicious:
        names = " ~ ".join(
            f"{Path(image).stem} ({part})" for image, part in zip(pair["images"], pair["parts"], strict=True)
        )
        lines.append(f"  {pair['similarity']:.3f}  {names}")
    sys.stdout.write("\n".join([*lines, f"written: {args.to / 'audit.json'}, {args.to / 'audit.html'}"]) + "\n")
