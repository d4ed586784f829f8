"""The same sound, the same events: alone, and with other streams in the same batches."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec
import numpy as np
import pytest
from fake_backend import FAKE_SIZE, FakeBackend
from fake_talk import Float32, engine_with, whole

from engine.events import AnyEvent, Decision, Score, Summary, Vad
from engine.format import SAMPLE_RATE_HZ
from engine.model.backend import BATCH_TOLERANCE, Backend, OnnxBackend
from engine.model.bundle import Bundle, load_bundle
from engine.scoring.scorer import CalibratedScorer, PreparedEmbeddings
from engine.session import Session
from engine.speech.vad import SileroVad


def conversations(voice: Callable[..., Float32], count: int, seconds: float) -> list[bytes]:
    """Both voices in turn, silence of different lengths before each, s16le."""
    voices = [voice(name, seconds / 2, seed=i) for i in range(3) for name in ("anna", "bert")]
    talks = []
    for i in range(count):
        hush = np.zeros(round(SAMPLE_RATE_HZ * (0.1 + 0.037 * i)), np.float32)
        said = [np.roll(voices[(i + k) % len(voices)], 1000 * i) for k in (0, 1 + 2 * (i % 2))]
        talks.append((np.concatenate([hush, *said]) * 32767).astype("<i2").tobytes())
    return talks


def claims(
    scorer: CalibratedScorer, backend: Backend, voice: Callable[..., Float32]
) -> dict[str, PreparedEmbeddings]:
    speech = {name: voice(name, 6.0, seed=99) for name in ("anna", "bert")}
    return {n: scorer.prepare(backend.embed(s[None]), 6.0) for n, s in speech.items()}


async def alone_and_together(
    backend: Backend, vad: SileroVad, bundle: Bundle, voice: Callable[..., Float32], count: int
) -> tuple[list[list[AnyEvent]], list[list[AnyEvent]]]:
    scorer, sounds = CalibratedScorer(bundle), conversations(voice, count, 5.0)
    known = claims(scorer, backend, voice)

    def session() -> Session:
        return Session(scorer, known, claimed=False)

    alone = []
    async with engine_with(backend, vad, batching=False, threads=1) as engine:
        for data in sounds:
            alone.append(untimed(await whole(engine.open(session(), live=False), data)))
    async with engine_with(backend, vad, threads=2) as engine:
        steps = [1000 + 777 * i for i in range(count)]
        together = await asyncio.gather(
            *(
                whole(engine.open(session(), live=False), data, step)
                for data, step in zip(sounds, steps, strict=True)
            )
        )
        stats = engine.stats()
    assert stats.frames > 2 * stats.vad_calls  # they did go together
    return alone, [untimed(events) for events in together]


def untimed(events: list[AnyEvent]) -> list[AnyEvent]:
    """Without the time of day."""
    return [msgspec.structs.replace(event, at_time=msgspec.UNSET) for event in events]


async def test_fifty_streams_have_the_events_each_has_alone(
    spectral_bundle: Bundle, vad: SileroVad, voice: Callable[..., Float32]
) -> None:
    assert spectral_bundle.manifest.embedding_size == FAKE_SIZE
    alone, together = await alone_and_together(FakeBackend(), vad, spectral_bundle, voice, 50)
    assert alone == together
    kinds = {type(event) for events in alone for event in events}
    assert {Score, Decision, Summary, Vad} <= kinds


async def test_the_bundled_model_gives_streams_together_what_it_gives_alone(
    vad: SileroVad, voice: Callable[..., Float32]
) -> None:
    bundle = load_bundle()
    backend = OnnxBackend(bundle, "cpu", batch_sizes=(1, 2, 4))
    alone, together = await alone_and_together(backend, vad, bundle, voice, 4)
    check_alike(alone, together)


async def test_streams_of_a_frames_graph_have_together_the_events_each_has_alone(
    frames_bundle: Bundle, vad: SileroVad, voice: Callable[..., Float32]
) -> None:
    backend = OnnxBackend(frames_bundle, "cpu")
    alone, together = await alone_and_together(backend, vad, frames_bundle, voice, 12)
    check_alike(alone, together)


def check_alike(alone: list[list[AnyEvent]], together: list[list[AnyEvent]]) -> None:
    """The same events of every stream, and scores among them."""
    assert any(isinstance(event, Score) for event in alone[0])
    for one, other in zip(alone, together, strict=True):
        assert [type(e) for e in one] == [type(e) for e in other]
        for before, after in zip(one, other, strict=True):
            same(msgspec.to_builtins(before), msgspec.to_builtins(after))


def same(before: dict[str, object], after: dict[str, object]) -> None:
    """Equal but for figures, which may differ by what a batch does to an embedding."""
    assert before.keys() == after.keys()
    for key, value in before.items():
        if isinstance(value, float):
            # A calibrated ratio magnifies a cosine's error some hundred times at most.
            assert after[key] == pytest.approx(value, abs=100 * BATCH_TOLERANCE)
        else:
            assert after[key] == value
