"""A server and its clients in processes of their own, so that the CPU of each is counted apart."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from engine.errors import VoxwatchError

READY_S = 60.0
CLAIM = "someone"
NO_LIMITS = {
    "connections": "4096",
    "streams": "4096",
    "audio_s_per_client_hour": "100000000",
}


@dataclass(slots=True)
class Served:
    """A running server process and what it says of itself."""

    process: subprocess.Popen[str]
    url: str
    ready_s: float
    batching: bool
    empty_mb: float = 0.0

    def figures(self) -> dict[str, float]:
        """Its counters of model and detector, and the CPU and memory of its process."""
        with urllib.request.urlopen(f"{self.url}/metrics", timeout=10) as response:
            families = text_string_to_metric_families(response.read().decode())
            values = {s.name: s.value for f in families for s in f.samples if not s.labels}
        values["cpu_s"] = _cpu_s(self.process.pid)
        values["memory_mb"] = memory_mb(self.process.pid)
        values["now"] = time.monotonic()
        return values


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_mb(pid: int) -> float:
    """Resident memory of a process, in MB of a million bytes."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


@contextlib.contextmanager
def server(
    folder: Path,
    bundle: Path | None,
    provider: str,
    *,
    batching: bool,
    limits: Mapping[str, str] = NO_LIMITS,
    workers: int = 1,
    others: Mapping[str, str] | None = None,
) -> Iterator[Served]:
    """A server with the store in ``folder``, for as long as the context lasts.

    ``others`` are settings beside those that are named, by variable.
    """
    settings = {
        "VOXWATCH_DATA_DIR": str(folder),
        "VOXWATCH_PORT": "0",
        "VOXWATCH_PROVIDER": provider,
        "VOXWATCH_BATCHING": str(batching).lower(),
        "VOXWATCH_WORKERS": str(workers),
        **{f"VOXWATCH_LIMITS_{name.upper()}": value for name, value in limits.items()},
        **(others or {}),
    }
    if bundle is not None:
        settings["VOXWATCH_BUNDLE"] = str(bundle)
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("VOXWATCH_")}
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "streamer.cli", "serve"],
        env={**inherited, **settings, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        url = _url(process)
        _wait_ready(url)
        served = Served(process, url, time.monotonic() - began, batching)
        served.empty_mb = memory_mb(process.pid)
        yield served
    finally:
        process.terminate()
        process.wait(timeout=30)
        assert process.stdout is not None
        process.stdout.close()


def _url(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    for line in process.stdout:
        for word in line.split():
            if word.startswith("http://"):
                return word.split("#")[0].rstrip("/")
    raise VoxwatchError("the server of the benchmark did not start: try `voxwatch serve`")


def _wait_ready(url: str) -> None:
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline:
        with (
            contextlib.suppress(urllib.error.URLError, ConnectionError),
            urllib.request.urlopen(f"{url}/readyz", timeout=5),
        ):
            return
        time.sleep(0.02)
    raise VoxwatchError("the server of the benchmark was not ready in time: try `voxwatch serve`")


@dataclass(slots=True)
class Clients:
    """A running process of `streamer.bench.clients` and the server it burdens."""

    process: subprocess.Popen[str]
    served: Served

    def ask(self, streams: int) -> None:
        """Grow to ``streams``; returns when they have settled and measuring begins."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{streams}\n")
        self.process.stdin.flush()
        self._line()

    def answer(self) -> dict[str, Any]:
        """What was measured, once it has been."""
        return self._line()

    def _line(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise VoxwatchError("the clients of the benchmark ended: is there memory enough?")
        told: dict[str, Any] = json.loads(line)
        return told


@contextlib.contextmanager
def burden(served: Served, sound: Path, seconds: float, settle_s: float) -> Iterator[Clients]:
    """Clients that send ``sound``; each time they are measured for ``seconds``."""
    address = served.url.replace("http://", "ws://") + f"/v1/stream?claim={CLAIM}"
    command = [
        sys.executable,
        "-m",
        "streamer.bench.clients",
        address,
        str(sound),
        str(seconds),
        str(settle_s),
    ]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        yield Clients(process, served)
    finally:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.close()
        process.wait(timeout=60)
        process.stdout.close()
