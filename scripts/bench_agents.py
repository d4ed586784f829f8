"""How much longer a gated transcript is held: `python scripts/bench_agents.py --json FILE`.

A real server with the built-in model, and in each framework's own environment (.venv-peers) the
program of its test with the gate: the demonstration's two voices speak in turns, in real time. A
stand-in of a recogniser says the words of each turn when it has heard 0.3 s of silence behind it.
The clock is stopped twice for each transcript in the same run: when the recogniser says it, which
is when it would be there without a gate, and when it has come through the gate. A run is added to
those that the file has.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import statistics
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import soundfile as sf

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from engine.format import INT16_PEAK
from engine.scoring.voiceprints import Prototype
from scripts.figures import tell
from streamer.config import Config
from streamer.server.server import Server
from streamer.store.profile import Consent

ROOT = Path(__file__).resolve().parents[1]
VOICES = ROOT / "scripts" / "demo_voices"
PROGRAMS = ROOT / "tests" / "clients" / "peers"
RATE_HZ = 16_000
ENROLLED_S = 12.0  # of Anna; the turns come from what she says after that
TURN_S = 2.5
WAIT_S = 5.0  # more than anybody should wait, so that what is slow is seen
CEILING_MS = 150  # median


def enrol(server: Server) -> None:
    context, samples = server.context, sound("anna")[: int(ENROLLED_S * RATE_HZ)]
    context.store.add(
        "anna",
        [Prototype(context.engine.backend.embed(samples[None])[0], ENROLLED_S)],
        consent=Consent("2026-11", context.store.now()),
        model_name=context.model.name,
        model_sha256=context.model.sha256,
        ttl_s=None,
        now=context.store.now(),
    )


def sound(name: str) -> np.ndarray[Any, np.dtype[np.float32]]:
    samples: np.ndarray[Any, np.dtype[np.float32]]
    samples, rate_hz = sf.read(VOICES / f"{name}.ogg", dtype="float32")
    assert rate_hz == RATE_HZ
    return samples


def turns(folder: Path, many: int) -> Iterator[str]:
    """Files of raw PCM: of Anna and Ben in turn."""
    for number in range(many):
        samples = sound("ben" if number % 2 else "anna")
        room_s = len(samples) / RATE_HZ - ENROLLED_S - TURN_S
        start = int((ENROLLED_S + number * TURN_S % room_s) * RATE_HZ)
        path = folder / f"{number}.raw"
        piece = samples[start : start + int(TURN_S * RATE_HZ)]
        path.write_bytes(np.round(piece * INT16_PEAK).astype("<i2").tobytes())
        yield str(path)


async def printed(peer: str, *arguments: str) -> list[dict[str, Any]]:
    python = ROOT / ".venv-peers" / peer / "bin" / "python"
    process = await asyncio.create_subprocess_exec(
        str(python),
        str(PROGRAMS / f"{peer}_program.py"),
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT / "clients" / "python")},
    )
    out, _ = await process.communicate()
    if process.returncode:
        sys.exit(f"{peer} did not run: scripts/setup makes its environment")
    return [json.loads(line) for line in out.splitlines() if line.startswith(b"{")]


async def in_pipecat(url: str, folder: Path, files: list[str]) -> list[float]:
    steps: list[list[Any]] = []
    for number, name in enumerate(files):
        steps += [["began"], ["sound", name], ["silence", 0.2], ["stopped"], ["silence", 0.1]]
        steps += [["text", f"turn {number}"], ["silence", 1.2]]
    plan = {"url": url, "gate": {"claim": "anna", "wait_s": WAIT_S}, "steps": steps}
    path = folder / "plan.json"
    path.write_text(json.dumps(plan))
    told = await printed("pipecat", str(path))
    states = [one["state"] for one in told if one.get("final")]
    assert "unavailable" not in states, states
    return [held for one in told for held in one.get("held_s", ())]


async def in_livekit(url: str, _: Path, files: list[str]) -> list[float]:
    gate = {"claim": "anna", "wait_s": WAIT_S}
    (told,) = await printed("livekit", url, json.dumps(gate), *files)
    return list(told["held_s"])


def spread(held_s: list[float]) -> dict[str, float]:
    return {
        "median_ms": round(1000 * statistics.median(held_s), 1),
        "worst_ms": round(1000 * max(held_s), 1),
        "transcripts": len(held_s),
    }


async def run(given: argparse.Namespace) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = Config(data_dir=folder / "data", port=0, provider="cpu")
        files = list(turns(folder, given.turns))
        found: dict[str, Any] = {
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": platform.platform(),
            "cores": os.cpu_count(),
            "ceiling_ms": CEILING_MS,
        }
        async with Server(config, drain_s=0.2) as server:
            found["model"] = server.context.model.version
            enrol(server)
            for peer, measure in (("pipecat", in_pipecat), ("livekit", in_livekit)):
                load = os.getloadavg()[0]
                held_s = await measure(server.url, folder, files)
                found[peer] = {**spread(held_s), "load_before": round(load, 1)}
        return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=12)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    file: Path | None = arguments.json
    earlier = json.loads(file.read_text())["runs"] if file and file.exists() else []
    tell({"runs": [*earlier, asyncio.run(run(arguments))]}, file)
