"""What serving a stream costs: the streaming network in chunks against windows of a bundle.

Both run in onnxruntime on one CPU thread, turn about within one loop, so that whatever else the
machine does falls on both alike; the medians of the CPU time of calls are compared. Weights of
the streaming networks are random: they change no operation.

    python scripts/bench_streaming.py --json figures.json
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import onnxruntime as ort
import torch

from engine.model.bundle import load_bundle
from engine.model.encoder import Encoder
from models.network.streaming import StreamingArchitecture, StreamingNeXtTDNN
from models.network.streaming_export import (
    StreamingGraphs,
    StreamingSession,
    frames_to_onnx,
    head_arrays,
    streaming_manifest,
)
from models.network.streaming_inference import FramesInChunks

RATE_HZ = 16000
WARM_UP = 3
CHUNK_S, BATCH = 0.5, 16
WINDOW_S, SCORES_A_SECOND = 3.0, 2
SHAPES = {
    "C128B2": StreamingArchitecture(128, (2, 2, 2), ahead_frames=8),
    "C128B3": StreamingArchitecture(128, (3, 3, 3), ahead_frames=5),
    "C256B3": StreamingArchitecture(256, (3, 3, 3), ahead_frames=5),
}


def chunk_call(arch: StreamingArchitecture) -> tuple[Callable[[], object], dict[str, Any]]:
    """A call of one chunk for a batch of streams, and what is known of the network."""
    network = StreamingNeXtTDNN(arch).eval()
    size = FramesInChunks(network).state_size()
    model = frames_to_onnx(network)
    graphs = StreamingGraphs(model, *head_arrays(network), streaming_manifest(arch, size))
    session = StreamingSession(graphs)
    samples = round(CHUNK_S * RATE_HZ)
    sound = (0.1 * np.random.default_rng(0).standard_normal((BATCH, samples))).astype(np.float32)
    frames = np.full(BATCH, samples // 160, np.int64)
    states = [session.fresh_states(BATCH)]

    def call() -> None:
        _, states[0], _ = session.run(sound, frames, states[0])

    parameters = sum(p.numel() for p in network.parameters())
    return call, {"parameters": parameters, "graph_bytes": len(model), "state_bytes": 4 * size}


def measure(bundle: Path | None, rounds: int) -> dict[str, Any]:
    """CPU milliseconds for a second of one stream, by network."""
    encoder = Encoder(load_bundle(bundle), "cpu", threads=1)
    window = np.random.default_rng(0).standard_normal((1, round(WINDOW_S * RATE_HZ)))
    window = (0.1 * window).astype(np.float32)
    manifest = encoder.bundle.manifest
    windowed = f"{manifest.name} {manifest.version}, {WINDOW_S:g} s, {SCORES_A_SECOND} a second"
    calls: dict[str, Callable[[], object]] = {windowed: lambda: encoder.embed(window)}
    # Calls that a second of one stream takes.
    share = {windowed: float(SCORES_A_SECOND)}
    known: dict[str, dict[str, Any]] = {windowed: {}}
    for name, arch in SHAPES.items():
        label = f"streaming {name}, chunks of {CHUNK_S:g} s, batch {BATCH}"
        calls[label], known[label] = chunk_call(arch)
        share[label] = 1 / (CHUNK_S * BATCH)
    times: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(rounds + WARM_UP):
        for name, call in calls.items():
            start = time.process_time()
            call()
            if turn >= WARM_UP:
                times[name].append(1e3 * (time.process_time() - start))
    return {
        name: {"ms_per_stream_second": round(float(np.median(t)) * share[name], 2), **known[name]}
        for name, t in times.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bundle", type=Path, help="the windowed one [the built-in]")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    found = measure(options.bundle, options.rounds)
    for name, figures in found.items():
        print(f"{figures['ms_per_stream_second']:8.2f} ms  {name}")
    if options.json:
        context = {
            "date": datetime.date.today().isoformat(),
            "processor": platform.processor() or platform.machine(),
            "cores": os.cpu_count(),
            "onnxruntime": ort.__version__,
        }
        options.json.write_text(json.dumps({**context, "figures": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
