"""The page of an audit."""

from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from PIL import Image

from medseg.data.input_types import shown
from medseg.data.masks import decode_mask
from medseg.data.pictures import decode_picture
from medseg.files import atomic_write, case_name
from medseg.results.pictures import draw_picture
from medseg.results.report.embedding import embed
from medseg.results.report.page import Cell, Column, Table
from medseg.results.report.plots import histogram, summary, svg_address
from medseg.results.report.write import minute, template

_SIDE = 320  # pixels of each picture of a pair
_NOTED = {
    "empty": "Empty masks",
    "tiny": "Masks below 0.1 % of the image",
    "gray": "Masks that are not black and white",
    "at_border": "Masks that touch the border",
}


def write_audit_page(audit: Mapping[str, Any], target: Path, title: str) -> None:
    """Write an audit as one HTML file that opens anywhere, without a network.

    Args:
        audit: as from `medseg.results.audit.audit_pairs`; its files are read again for the pictures.
        target: the file, which appears whole or not at all.
        title: of the page.
    """
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for pair in audit["similar"]:
        one, other = pair["parts"]
        groups.setdefault(f"Within {one}" if one == other else f"Between {one} and {other}", []).append(pair)
    columns = [Column("Part"), Column("Images", 0), Column("Formats"), Column("Sizes"), Column("Median area, %", 1)]
    columns += [Column("More than one lesion", 0), *(Column(head, 0) for head in _NOTED.values())]
    page = template("audit.html").render(
        title=title,
        written=minute(datetime.now(timezone.utc)),
        parts=Table(columns, [_row(name, part) for name, part in audit["parts"].items()]),
        plots=[
            {
                "title": f"{name}: share of the image that the mask covers",
                "summary": summary(part["areas"]),
                "address": svg_address(histogram(part["areas"])),
            }
            for name, part in audit["parts"].items()
            if part["areas"]
        ],
        noted=[
            (f"{name}: {head.lower()}", shown(part[key]))
            for name, part in audit["parts"].items()
            for key, head in _NOTED.items()
            if part[key]
        ],
        copies=[[f"{case_name(one['image'])} ({one['part']})" for one in group] for group in audit["copies"]],
        similar=[
            {
                "title": head,
                "suspicious": sum(pair["similarity"] >= audit["suspicious_from"] for pair in pairs),
                "pairs": [
                    {**pair, "names": list(map(case_name, pair["images"])), "picture": _beside(pair)} for pair in pairs
                ],
            }
            for head, pairs in groups.items()
        ],
        suspicious_from=audit["suspicious_from"],
    )
    with atomic_write(target) as path:
        path.write_text(page, encoding="utf-8")


def _row(name: str, part: Mapping[str, Any]) -> list[Any]:
    sizes = list(part["sizes"])
    return [
        Cell(name),
        part["images"],
        Cell(", ".join(part["formats"])),
        Cell(sizes[0] if len(sizes) == 1 else f"{len(sizes)} sizes, most often {sizes[0]}" if sizes else ""),
        100 * median(part["areas"]) if part["areas"] else None,
        sum(count > 1 for count in part["lesions"]),
        *(len(part[key]) for key in _NOTED),
    ]


def _beside(pair: Mapping[str, Any]) -> Any:
    tiles = [
        draw_picture(decode_picture(image), [decode_mask(label)[..., 0]], _SIDE)
        for image, label in zip(pair["images"], pair["labels"], strict=True)
    ]
    height = max(len(tile) for tile in tiles)
    padded = [np.pad(tile, ((0, height - len(tile)), (0, 4), (0, 0))) for tile in tiles]
    return embed(Image.fromarray(np.concatenate(padded, axis=1)))
