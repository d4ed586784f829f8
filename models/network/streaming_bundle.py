"""A trained streaming network as a bundle of format 2: frames graph, head, and what runs them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from engine.format import SAMPLE_RATE_HZ
from engine.model.bundle import Bundle, check_output, write_bundle
from engine.model.manifest import FramesFigures, Manifest
from models.network.export import PRECISIONS, Identity, Precision, to_precision
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

PARITY_S = 8.0  # of each recording that the graph is compared with torch on, and played
ROWS = 8  # of a call that plays them; the first ones are those to compare on
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
    """Write ``network`` as an uncalibrated bundle, with the parity of all three precisions.

    ``speech`` holds 16 kHz waveforms to measure parity on and to set the scales of int8 by, the
    more voices the better. Raises ``ExportError`` when the graph
    does not match torch, ``BundleError`` when ``output`` cannot be written or holds a calibrated
    bundle.
    """
    check_output(output, uncalibrated=True)
    batches = _batches(speech)
    sound = batches[0]
    full, full_parity = streaming_graphs(network, sound, front_end=front_end)
    measured: dict[Precision, tuple[StreamingGraphs, StreamingParity]] = {
        "fp32": (full, full_parity)
    }
    for kind in PRECISIONS[1:]:
        play = frames_played(full, batches)
        graphs = replace(full, frames=to_precision(full.frames, kind, play))
        parity = measure_streaming_parity(network, graphs, sound, front_end)
        measured[kind] = (graphs, parity)
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
            "recordings": len(speech),
            "precisions": {kind: asdict(parity) for kind, (_, parity) in measured.items()},
        },
        training=training or {},
    )
    return write_bundle(output, manifest, graphs.files())


def _batches(speech: Sequence[Float32]) -> list[Float32]:
    """``(B, samples)``, each waveform repeated as it takes; made-up voices if none."""
    samples = round(PARITY_S * SAMPLE_RATE_HZ)
    rows = [np.resize(one, samples).astype(np.float32) for one in voices(speech)]
    return [np.stack(rows[i : i + ROWS]) for i in range(0, len(rows), ROWS)]
