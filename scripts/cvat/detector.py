"""CVAT's automatic annotation by a MONAI Label server: a function for Nuclio that turns masks into polygons.

Label's own functions for CVAT want polygons, which its endoscopy app gives and a bundle does not. This one asks for
the mask. See docs/monai_label.md.
"""

import base64
import io
import json
import os
import urllib.request
import uuid
from typing import Any

import numpy as np
from PIL import Image
from scipy.ndimage import binary_fill_holes
from skimage.measure import approximate_polygon, find_contours

_TOLERANCE = 0.5  # pixels between a mask's edge and its polygon


def init_context(context: Any) -> None:
    """Remember the server, its model and that model's labels; Nuclio calls this once."""
    context.user_data.server = os.environ["MONAI_LABEL_SERVER"].rstrip("/")
    context.user_data.model = os.environ["MONAI_LABEL_MODEL"]
    with urllib.request.urlopen(f"{context.user_data.server}/info/") as answer:
        context.user_data.labels = json.load(answer)["models"][context.user_data.model]["labels"]


def handler(context: Any, event: Any) -> Any:
    """Answer one picture of CVAT with the polygons in its mask."""
    mask = _mask(context.user_data.server, context.user_data.model, base64.b64decode(event.body["image"]))
    found = [
        {"confidence": "1", "label": name, "points": points, "type": "polygon"}
        for name, value in context.user_data.labels.items()
        for points in polygons(mask == value)
    ]
    return context.Response(body=json.dumps(found), headers={}, content_type="application/json", status_code=200)


def polygons(mask: np.ndarray) -> list[list[float]]:
    """Outlines of the parts of a mask, each as x, y, x, y, ... in pixels; holes are filled.

    Args:
        mask: bool `[H, W]`.

    Returns:
        one list per part, none for an empty mask or for parts of less than three corners.
    """
    outlines = find_contours(np.pad(binary_fill_holes(mask), 1).astype(float), 0.5)
    # a polygon's first point is repeated at its end; pixel centers lie at half a pixel in CVAT
    corners = [approximate_polygon(outline, _TOLERANCE)[:-1] - 0.5 for outline in outlines]
    return [corner[:, ::-1].ravel().tolist() for corner in corners if len(corner) >= 3]


def _mask(server: str, model: str, picture: bytes) -> np.ndarray:
    boundary = uuid.uuid4().hex
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="picture.png"\r\n\r\n'
    body = head.encode() + picture + f"\r\n--{boundary}--\r\n".encode()
    headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    request = urllib.request.Request(f"{server}/infer/{model}?output=image", body, headers)
    with urllib.request.urlopen(request) as answer, Image.open(io.BytesIO(answer.read())) as file:
        return np.asarray(file)
