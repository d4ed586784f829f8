"""What pyproject.toml asks for on each platform, by its markers."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
GPU_PLATFORMS = [("linux", "x86_64"), ("win32", "AMD64")]
CPU_PLATFORMS = [
    ("darwin", "arm64"),
    ("darwin", "x86_64"),
    ("linux", "aarch64"),
    ("linux", "armv7l"),
    ("win32", "ARM64"),
]


def asked(requirements: list[str], platform: tuple[str, str]) -> list[Requirement]:
    environment = dict(zip(("sys_platform", "platform_machine"), platform, strict=True))
    parsed = [Requirement(line) for line in requirements]
    return [one for one in parsed if one.marker is None or one.marker.evaluate(environment)]


def runtimes(requirements: list[str], platform: tuple[str, str]) -> list[str]:
    found = asked(requirements, platform)
    return [one.name for one in found if one.name.startswith("onnxruntime")]


@pytest.mark.parametrize("platform", GPU_PLATFORMS)
def test_where_there_is_one_for_gpus_it_is_the_only_onnxruntime(platform: tuple[str, str]) -> None:
    assert runtimes(PROJECT["dependencies"], platform) == ["onnxruntime-gpu"]
    (gpu,) = asked(PROJECT["optional-dependencies"]["gpu"], platform)
    assert gpu.extras == {"cuda", "cudnn"}


@pytest.mark.parametrize("platform", CPU_PLATFORMS)
def test_elsewhere_it_is_the_one_for_cpus(platform: tuple[str, str]) -> None:
    assert runtimes(PROJECT["dependencies"], platform) == ["onnxruntime"]
    assert asked(PROJECT["optional-dependencies"]["gpu"], platform) == []


@pytest.mark.parametrize("platform", GPU_PLATFORMS + CPU_PLATFORMS)
def test_serving_asks_for_no_torch_anywhere(platform: tuple[str, str]) -> None:
    names = {one.name for one in asked(PROJECT["dependencies"], platform)}
    assert not names & {"torch", "torchaudio", "silero-vad", "scipy"}
