"""The installed onnxruntime: its metadata says what it needs."""

from __future__ import annotations

import importlib.metadata
import re

import onnxruntime as ort

from streamer.local.runtime import GPU_PACKAGE, installed_runtime, required_cudnn


def test_the_one_that_is_installed_is_described() -> None:
    found = installed_runtime()
    assert len(found.packages) == 1
    assert found.version == importlib.metadata.version(found.packages[0]) == ort.__version__
    if found.packages == (GPU_PACKAGE,):
        assert re.fullmatch(r"\d+\.\d+", found.cuda)
        assert found.cudnn.isdigit()
    else:
        assert (found.cuda, found.cudnn) == ("", "")


def test_cudnn_is_read_from_the_requirements_of_any_release() -> None:
    newer = ["numpy>=1.21.6", 'nvidia-cudnn-cu13~=9.0; extra == "cudnn"']
    older = ['nvidia-cudnn-cu12 (>=8.9) ; extra == "cudnn"']
    assert required_cudnn(newer) == "9"
    assert required_cudnn(older) == "8"
    assert required_cudnn(["numpy>=1.21.6"]) == ""
