"""How much the front end costs: the whole exported graph against the bare network.

Both run in onnxruntime on one CPU thread, turn about within one loop, so that whatever
else the machine does falls on both alike; medians are compared. Weights are random:
they change no operation.

    python scripts/bench_export.py --channels 128 --depth 3 --json figures.json
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import onnxruntime as ort
import torch

from models.network.export import network_to_onnx, to_fp16, to_onnx
from models.network.frontend import LogMel
from models.network.next_tdnn import Architecture, NeXtTDNN

SAMPLE_RATE_HZ = 16000
WARM_UP = 3


def session(model: bytes, threads: int) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def interleaved(
    calls: dict[str, tuple[ort.InferenceSession, np.ndarray]], rounds: int
) -> dict[str, float]:
    """Median milliseconds of each call, all called in every round."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(rounds + WARM_UP):
        for name, (graph, value) in calls.items():
            start = time.perf_counter()
            graph.run(None, {graph.get_inputs()[0].name: value})
            if turn >= WARM_UP:
                times[name].append(1e3 * (time.perf_counter() - start))
    return {name: float(np.median(values)) for name, values in times.items()}


def measure(
    arch: Architecture, *, window_s: float = 3.0, batch: int = 1, rounds: int = 40, threads: int = 1
) -> dict[str, Any]:
    torch.manual_seed(0)
    network = NeXtTDNN(arch).eval()
    noise = np.random.default_rng(0).standard_normal((batch, int(window_s * SAMPLE_RATE_HZ)))
    waveform = (0.1 * noise).astype(np.float32)
    with torch.no_grad():
        features = LogMel()(torch.from_numpy(waveform)).numpy()
    whole = to_onnx(network)
    calls = {
        "network_ms": (session(network_to_onnx(network), threads), features),
        "whole_ms": (session(whole, threads), waveform),
        "whole_fp16_ms": (session(to_fp16(whole), threads), waveform),
    }
    medians = interleaved(calls, rounds)
    return {
        "channels": arch.channels,
        "depths": list(arch.depths),
        "window_s": window_s,
        "batch": batch,
        "threads": threads,
        "rounds": rounds,
        **medians,
        "ratio": medians["whole_ms"] / medians["network_ms"],
    }


def circumstances() -> dict[str, Any]:
    """When, where and with what the figures were measured."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        cpu = names[0].partition(":")[2].strip() if names else cpu
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "command": " ".join(["python", *sys.argv]),
        "cpu": f"{cpu}, {os.cpu_count()} cores",
        "python": platform.python_version(),
        "onnxruntime": ort.__version__,
        "torch": torch.__version__,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--channels", type=int, default=128)
    parser.add_argument("--depth", type=int, default=3, help="blocks in each of three stages")
    parser.add_argument("--window", type=float, default=3.0, help="seconds")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    given = parser.parse_args()
    arch = Architecture(channels=given.channels, depths=(given.depth,) * 3)
    figures = measure(
        arch,
        window_s=given.window,
        batch=given.batch,
        rounds=given.rounds,
        threads=given.threads,
    )
    for name in ("network", "whole", "whole_fp16"):
        print(f"{name:<11} {figures[f'{name}_ms']:7.2f} ms")
    print(f"whole / network = {figures['ratio']:.3f}")
    if given.json:
        given.json.write_text(json.dumps({**circumstances(), **figures}, indent=2) + "\n")


if __name__ == "__main__":
    main()
