"""Weight files: read them safely, rename published keys to ours, recognise the network, load them strictly."""

from __future__ import annotations

from .convert import Conversion, convert_state_dict
from .hub import PRETRAINED, find_weights
from .load import check_fit, load_pretrained, load_weights
from .read import read_facts, read_state_dict
from .recognise import Recognition, convert_file, recognise

__all__ = [
    "PRETRAINED",
    "Conversion",
    "Recognition",
    "check_fit",
    "convert_file",
    "convert_state_dict",
    "find_weights",
    "load_pretrained",
    "load_weights",
    "read_facts",
    "read_state_dict",
    "recognise",
]
