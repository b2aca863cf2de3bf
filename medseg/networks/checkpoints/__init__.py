"""Weight files: read them safely, rename published keys to ours, recognize the network, load them strictly."""

from medseg.networks.checkpoints.convert import Conversion, convert_state_dict
from medseg.networks.checkpoints.hub import PRETRAINED, find_weights
from medseg.networks.checkpoints.load import check_fit, load_pretrained, load_weights
from medseg.networks.checkpoints.read import read_facts, read_state_dict
from medseg.networks.checkpoints.recognize import Recognition, convert_file, recognize

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
    "recognize",
]
