"""Weight files: read them safely, rename published keys to ours, load them strictly."""

from __future__ import annotations

from .convert import Conversion, convert_state_dict
from .load import check_fit, load_pretrained, load_weights, read_state_dict

__all__ = ["Conversion", "check_fit", "convert_state_dict", "load_pretrained", "load_weights", "read_state_dict"]
