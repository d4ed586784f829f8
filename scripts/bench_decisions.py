"""What decisions cost of a stream's CPU: `python scripts/bench_decisions.py --json FILE`.

One stream in one thread through the real detector and encoder, and the time of it that the
tracker takes: evidence, decisions, changes and verdicts, with the scores they rest on.
"""

from __future__ import annotations

import argparse
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch

from engine.audio.files import read_audio
from engine.audio.pcm import PcmDecoder
from engine.decisions.tracker import Tracker
from engine.format import SAMPLE_RATE_HZ
from engine.model.bundle import load_bundle
from engine.model.encoder import Encoder
from engine.recordings import enrol_recording
from engine.scoring.scorer import CalibratedScorer
from engine.scoring.voiceprints import Voiceprint
from engine.serving.inference import answer_one, settle
from engine.session import Session
from engine.speech.vad import SileroVad
from scripts.figures import tell
from streamer.bench.engine import machine

VOICES = Path(__file__).parent / "demo_voices"
PIECE = 3200  # samples: 0.2 s
ROUNDS = 8  # of the call; the first warms up
RUNS = 3


class Timed(Tracker):
    """A tracker that counts the CPU seconds of its own thread."""

    seconds = 0.0

    def add(self, *given: Any) -> Any:
        began = time.thread_time()
        found = list(super().add(*given))
        Timed.seconds += time.thread_time() - began
        return found


def measure() -> dict[str, Any]:
    """One run."""
    bundle = load_bundle()
    encoder, vad, scorer = Encoder(bundle, "cpu", threads=1), SileroVad(), CalibratedScorer(bundle)
    anna = enrol_recording(VOICES / "anna.ogg", scorer, lambda job: answer_one(job, encoder, vad))
    enrolled = {"anna": Voiceprint("anna", (anna,)).prepare(scorer)}
    call = read_audio(VOICES / "call.ogg").waveform
    spent: list[tuple[float, float]] = []
    for _ in range(ROUNDS):
        with patch("engine.session.Tracker", Timed):
            session = Session(scorer, enrolled, decoder=PcmDecoder("pcm_f32le"))
        Timed.seconds, began = 0.0, time.process_time()
        for start in range(0, len(call), PIECE):
            session.receive_pcm(call[start : start + PIECE].astype("<f4").tobytes())
            list(settle(session, lambda job: answer_one(job, encoder, vad)))
        spent.append((Timed.seconds, time.process_time() - began))
    decisions_s, all_s = (sum(column) for column in zip(*spent[1:], strict=True))
    sound_s = (ROUNDS - 1) * len(call) / SAMPLE_RATE_HZ
    return {
        "decisions_ms_per_s": 1000 * decisions_s / sound_s,
        "stream_ms_per_s": 1000 * all_s / sound_s,
        "share": decisions_s / all_s,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    found = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": "python scripts/bench_decisions.py --json scripts/results/decisions.json",
        "machine": machine(load_bundle(), "cpu"),
        "runs": [measure() for _ in range(RUNS)],
    }
    tell(found, given.json)


if __name__ == "__main__":
    main()
