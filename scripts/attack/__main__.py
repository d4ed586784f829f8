"""What attacks do to a server, and to one live stream beside them.

    python -m scripts.attack --seconds 20 --json scripts/results/attacks.json
    python -m scripts.attack pings files

Server, live stream and attackers are processes of their own. The server has its default limits.
Of each attack: the delays of the live stream's scores, its scores and lag events, how soon after
the attack it has two scores a second again (null: not within as long as the attack took), and the
server's resident memory before, at most, and after it has been left alone for a while. ``alone``
is the same without an attack.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from engine.errors import VoxwatchError
from scripts.attack.attackers import ATTACKS
from scripts.figures import tell
from streamer.bench.processes import Served, burden, memory_mb, server
from streamer.bench.streams import SETTLE_S, machine, prepare
from streamer.commands.bench import BenchStreams

LEFT_ALONE_S = 10.0
EVERY_S = 0.2


class MemoryWatch(threading.Thread):
    """The most resident memory of a process while it runs."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._pid, self._most_mb, self._over = pid, 0.0, threading.Event()

    def run(self) -> None:
        while not self._over.wait(EVERY_S):
            self._most_mb = max(self._most_mb, memory_mb(self._pid))

    def stop(self) -> float:
        self._over.set()
        self.join()
        return self._most_mb


def attacked(served: Served, folder: Path, name: str | None, seconds: float) -> dict[str, Any]:
    """The live stream and the server under an attack, or under none."""
    before_mb = memory_mb(served.process.pid)
    watch = MemoryWatch(served.process.pid)
    with burden(served, folder / "speech.raw", seconds, SETTLE_S) as clients:
        clients.ask(1)
        watch.start()
        attackers = _attackers(served.url, name, seconds) if name else None
        told = clients.answer()
        if attackers:
            end(attackers)
        most_mb = watch.stop()
        clients.ask(1)
        recovered_s = clients.answer()["served_after_s"]
    time.sleep(max(0.0, LEFT_ALONE_S - seconds) if name else 0.0)
    return {
        "p50_ms": round(1000 * told["delay_p50_s"], 1),
        "p99_ms": round(1000 * told["delay_p99_s"], 1),
        "scores": told["scores"],
        "lag_events": told["lag_events"],
        "recovered_after_s": None if recovered_s is None else round(recovered_s, 2),
        "lost": told["lost"],
        "clients_behind_ms": round(1000 * told["behind_s"], 1),
        "memory_before_mb": round(before_mb, 1),
        "memory_most_mb": round(most_mb, 1),
        "memory_after_mb": round(memory_mb(served.process.pid), 1),
    }


def _attackers(url: str, name: str, seconds: float) -> subprocess.Popen[bytes]:
    address = url.replace("http://", "ws://")
    command = [sys.executable, "-m", "scripts.attack.attackers", name, address, str(seconds)]
    return subprocess.Popen(command, stderr=subprocess.DEVNULL)


def end(attackers: subprocess.Popen[bytes]) -> None:
    """End an attack. Raises where it had failed before: then nothing was measured under it."""
    failed = attackers.poll()
    attackers.terminate()
    attackers.wait()
    if failed:
        raise VoxwatchError(f"the attack ended with status {failed}: {attackers.args!r} says why")


def attack(names: list[str], seconds: float) -> dict[str, Any]:
    """Each attack against a server of its own."""
    options = BenchStreams(seconds=seconds)
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder_name:
        folder = Path(folder_name)
        prepare(folder, options)
        for name in ["alone", *names]:
            with server(folder, None, "cpu", batching=True, limits={}) as served:
                told = attacked(served, folder, None if name == "alone" else name, seconds)
            found[name] = told
            print(name, told, file=sys.stderr, flush=True)
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(options),
        "load_average_at_the_start": round(os.getloadavg()[0], 2),
        "seconds": seconds,
        "attacks": found,
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", choices=[[], *ATTACKS], help="all unless named")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    tell(attack(given.names or list(ATTACKS), given.seconds), given.json)
