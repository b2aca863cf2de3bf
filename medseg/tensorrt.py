"""A TensorRT engine in place of a bundle's network, where there is a GPU."""

import os
from importlib import import_module
from importlib.util import find_spec

import torch
from torch import nn

from medseg.bundle.checks import check_file
from medseg.errors import InputError

__all__ = ["check_tensorrt", "load_tensorrt", "tensorrt_problem"]


def tensorrt_problem() -> str | None:
    """What is missing here to build or run a TensorRT engine, as part of a sentence; None if nothing is."""
    if not torch.cuda.is_available():
        return "there is no NVIDIA GPU"
    return "torch_tensorrt is not installed" if find_spec("torch_tensorrt") is None else None


def check_tensorrt(engine: str | os.PathLike[str]) -> None:
    """Raise an `InputError` unless the TensorRT engine `engine` exists and this machine can run one."""
    problem = tensorrt_problem()
    if problem:
        raise InputError(f"TensorRT cannot be used here, {problem}: run without inference_trt.yaml.")
    check_file(engine, "TensorRT engine")


def load_tensorrt(engine: str | os.PathLike[str]) -> nn.Module:
    """The network in `engine`, which `monai.bundle trt_export` wrote; it takes inputs of the size it was built for."""
    check_tensorrt(engine)
    import_module("torch_tensorrt")  # registers what the engine is made of
    return torch.jit.load(engine)
