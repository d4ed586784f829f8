"""What serving a stream costs: bundles against each other, and shapes of the streaming network.

All run in onnxruntime on one CPU thread, turn about within one loop, so that whatever else the
machine does falls on all alike; the medians of the CPU time of calls are compared. A bundle of
format 1 is asked for windows, one of format 2 for chunks. Weights of the ``--shapes`` are random:
they change no operation.

    python scripts/bench_streaming.py --bundle models/bundles/default --bundle bundles/campplus
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
from numpy.typing import NDArray

from engine.model.bundle import Bundle, load_bundle
from engine.model.encoder import Encoder
from engine.model.frames import FramesGraph
from engine.model.providers import open_session
from models.network.streaming import StreamingArchitecture, StreamingNeXtTDNN
from models.network.streaming_export import (
    StreamingGraphs,
    StreamingSession,
    frames_to_onnx,
    head_arrays,
    streaming_manifest,
)
from models.network.streaming_inference import FramesInChunks

Float32 = NDArray[np.float32]
RATE_HZ = 16000
WARM_UP = 3
CHUNK_S, BATCH = 0.5, 16
BATCHES = (1, BATCH)  # of a bundle: one stream, and many
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
    sound = noise(BATCH, CHUNK_S)
    frames = np.full(BATCH, sound.shape[1] // 160, np.int64)
    states = [session.fresh_states(BATCH)]

    def call() -> None:
        _, states[0], _ = session.run(sound, frames, states[0])

    parameters = sum(p.numel() for p in network.parameters())
    return call, {"parameters": parameters, "graph_bytes": len(model), "state_bytes": 4 * size}


def noise(rows: int, seconds: float) -> Float32:
    """Something to hear, ``(rows, samples)``."""
    samples = round(seconds * RATE_HZ)
    sound = 0.1 * np.random.default_rng(0).standard_normal((rows, samples))
    return np.asarray(sound, np.float32)


def window_call(bundle: Bundle) -> Callable[[], object]:
    """One window by a bundle of format 1."""
    encoder, window = Encoder(bundle, "cpu", threads=1), noise(1, WINDOW_S)
    return lambda: encoder.embed(window)


def frames_call(bundle: Bundle, batch: int) -> Callable[[], object]:
    """One chunk of each of ``batch`` streams by a bundle of format 2, and its embeddings."""
    assert bundle.manifest.frames is not None
    graph, sound = FramesGraph(open_session(bundle, "cpu", 1)[0], bundle), noise(batch, CHUNK_S)
    frames = np.full(batch, sound.shape[1] // 160, np.int64)
    states = [np.zeros((batch, bundle.manifest.frames.state_size), np.float32)]

    def call() -> None:
        found = graph.run(sound, frames, states[0])
        states[0] = found.states
        graph.pooling.embed(found.sums.sum(axis=1))

    return call


def measure(bundles: list[Path | None], shapes: bool, rounds: int) -> dict[str, Any]:
    """CPU milliseconds for a second of one stream, by network."""
    calls: dict[str, Callable[[], object]] = {}
    share: dict[str, float] = {}  # calls that a second of one stream takes
    known: dict[str, dict[str, Any]] = {}
    for loaded in map(load_bundle, bundles):
        manifest = loaded.manifest
        name = f"{manifest.name} {manifest.version}"
        if manifest.frames is None:
            label = f"{name}, {WINDOW_S:g} s, {SCORES_A_SECOND} a second"
            calls[label], share[label], known[label] = window_call(loaded), SCORES_A_SECOND, {}
            continue
        for batch in BATCHES:
            label = f"{name}, chunks of {CHUNK_S:g} s, batch {batch}"
            calls[label], share[label] = frames_call(loaded, batch), 1 / (CHUNK_S * batch)
            known[label] = {"state_bytes": 4 * manifest.frames.state_size}
    for name, arch in SHAPES.items() if shapes else ():
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
    parser.add_argument("--bundle", type=Path, action="append", help="repeat [the built-in]")
    parser.add_argument("--shapes", action="store_true", help="random networks of several shapes")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    found = measure(options.bundle or [None], options.shapes, options.rounds)
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
