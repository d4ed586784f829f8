"""A trained streaming network as a bundle of format 2: frames graph, head, and what runs them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from engine.format import SAMPLE_RATE_HZ
from engine.model.bundle import Bundle, check_output, write_bundle
from engine.model.manifest import FramesFigures, Manifest
from models.network.export import ExportError, Identity, to_fp16, to_int8
from models.network.frontend import FrontEndConfig
from models.network.parity import voices
from models.network.streaming import StreamingNeXtTDNN
from models.network.streaming_export import (
    StreamingGraphs,
    StreamingParity,
    frames_played,
    measure_streaming_parity,
    streaming_graphs,
)

Precision = Literal["fp32", "fp16", "int8"]

PARITY_S = 8.0  # of each recording that the graph is compared with torch on, or played
CALL_ROWS = 8  # recordings in one call, and the most that are compared on
KEPT_EVERY = 8  # one in so many of the recordings sets no scale
# The default's embeddings of recordings that set no scale had a cosine of 0.994 at least to those
# in fp32, with scales by 24 others, and of 0.961 by one, 0.861 by made-up voices. The gate lies
# between these.
LEAST_RECORDINGS = 16
INT8_COSINE_GATE = 0.98
# A cut is all speech, where the network was taught within sequences. With 0.2 s of silence at both
# ends the EER of 143 held-out speakers, 5 s against 1 s, 2 s and 2 s degraded, was 4.2, 3.4 and
# 5.4 % for 4.4, 3.9 and 5.7 % without (C128B2 at step 2100).
MARGIN_BLOCKS = 2

Float32 = NDArray[np.float32]


def export_streaming_bundle(
    network: StreamingNeXtTDNN,
    output: Path,
    identity: Identity,
    *,
    precision: Precision = "fp32",
    speech: Sequence[Float32] = (),
    training: dict[str, Any] | None = None,
    front_end: FrontEndConfig | None = None,
) -> Bundle:
    """Write ``network`` as an uncalibrated bundle, with the parity of each precision.

    That is of fp32 and fp16, and of int8 if it is chosen.

    ``speech`` holds 16 kHz waveforms to measure parity on. int8 wants some of many speakers: one in
    eight, and eight at most, are to measure on, and the others set its scales. Raises
    ``ExportError`` when a graph does not match torch, or int8 is given too few,
    ``QuantisationError`` when these are silent, ``BundleError`` when ``output`` cannot be written
    or holds a calibrated bundle.
    """
    check_output(output, uncalibrated=True)
    sound, played = _parted(speech)
    if precision == "int8" and not played:
        raise ExportError(
            f"int8 sets its scales by the speech of many: give at least {LEAST_RECORDINGS}"
            f" recordings of training speakers by --speech, not {len(speech)}, or choose fp16"
        )
    full, full_parity = streaming_graphs(network, sound, front_end)
    others = {"fp16": to_fp16(full.frames)}
    if precision == "int8":
        others["int8"] = to_int8(full.frames, frames_played(full, played))
    measured: dict[str, tuple[StreamingGraphs, StreamingParity]] = {"fp32": (full, full_parity)}
    for kind, frames in others.items():
        graphs = replace(full, frames=frames)
        parity = measure_streaming_parity(network, graphs, sound, front_end)
        measured[kind] = (graphs, parity)
    if precision == "int8" and not measured["int8"][1].cosine_min >= INT8_COSINE_GATE:
        raise ExportError(
            f"with whole numbers embeddings are too far from those of torch (cosine"
            f" {measured['int8'][1].cosine_min:.4f}, at least {INT8_COSINE_GATE} is needed): give"
            " more and other recordings by --speech, or choose fp16"
        )
    graphs, chosen = measured[precision]
    figures = dict(graphs.manifest)
    manifest = Manifest(
        format=2,
        name=identity.name,
        version=identity.version,
        licence=identity.licence,
        source=identity.source,
        architecture=figures.pop("architecture"),
        front_end=asdict(front_end or FrontEndConfig()),
        embedding_size=network.arch.embedding_size,
        precision=precision,
        frames=msgspec.convert(figures | {"margin_blocks": MARGIN_BLOCKS}, FramesFigures),
        parity={
            "cosine_min": chosen.cosine_min,
            "sums_relative_max": chosen.sums_relative_max,
            "measured_on": "speech" if len(speech) else "made-up voices",
            "recordings": len(sound) if len(speech) else 0,
            "played": sum(len(batch) for batch in played) if precision == "int8" else 0,
            "precisions": {kind: asdict(parity) for kind, (_, parity) in measured.items()},
        },
        training=training or {},
    )
    return write_bundle(output, manifest, graphs.files())


def _parted(speech: Sequence[Float32]) -> tuple[Float32, list[Float32]]:
    """Sound to compare on, made up if there is none, and to play if there is enough.

    Each ``(B, samples)``, all of it of one length, and repeated where a recording is too short.
    """
    samples = round(PARITY_S * SAMPLE_RATE_HZ)
    rows = [np.resize(one, samples).astype(np.float32) for one in voices(speech)]
    if len(speech) < LEAST_RECORDINGS:
        return np.stack(rows[:CALL_ROWS]), []
    played = [row for number, row in enumerate(rows) if number % KEPT_EVERY]
    batches = [np.stack(played[i : i + CALL_ROWS]) for i in range(0, len(played), CALL_ROWS)]
    return np.stack(rows[::KEPT_EVERY][:CALL_ROWS]), batches
