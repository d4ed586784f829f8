"""Which onnxruntime is installed, and what a GPU needs beside it."""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Sequence
from dataclasses import dataclass

import onnxruntime as ort

GPU_PACKAGE = "onnxruntime-gpu"


@dataclass(frozen=True, slots=True)
class Runtime:
    """What is known of the installed onnxruntime.

    ``packages`` are those that brought its files: two of them overwrite each other's.
    ``cuda`` and ``cudnn`` are the versions that it was built for, empty where it uses none.
    """

    packages: tuple[str, ...]
    version: str
    cuda: str = ""
    cudnn: str = ""


def installed_runtime() -> Runtime:
    """Reads the metadata of the installed packages."""
    packages = sorted(set(importlib.metadata.packages_distributions().get("onnxruntime", ())))
    cudnn = ""
    if GPU_PACKAGE in packages:
        cudnn = required_cudnn(importlib.metadata.requires(GPU_PACKAGE) or ())
    return Runtime(tuple(packages), str(ort.__version__), str(ort.cuda_version or ""), cudnn)


def required_cudnn(requirements: Sequence[str]) -> str:
    """cuDNN's major version by the requirements of onnxruntime's extra ``cudnn``, or nothing."""
    for requirement in requirements:
        if found := re.match(r"nvidia-cudnn-cu\d+\W*(\d+)", requirement):
            return found[1]
    return ""
