"""`voxwatch benchmark`: conversations with known truth through the live engine, and the figures.

Conversations are drawn from a seed (:mod:`models.benchmark.plans`), made into sound
(:mod:`models.benchmark.conversations`), streamed through sessions of the engine
(:mod:`models.benchmark.engine`) and through other systems (:mod:`models.benchmark.rivals`), and
scored by the same code for all of them.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from engine.decisions.config import DecisionConfig
from engine.errors import VoxwatchError
from engine.model.bundle import load_bundle
from engine.model.encoder import ProviderChoice
from models.benchmark.change_tables import changes_table, rttm_table
from models.benchmark.curves import Curve, curve_table, equal_error_threshold, sweep_variants
from models.benchmark.engine import EngineUnderTest
from models.benchmark.estimates import Draws
from models.benchmark.outcomes import NO, first_decision
from models.benchmark.plans import (
    ENROL_S,
    KINDS,
    SIMILAR_PITCH,
    Kind,
    Planner,
)
from models.benchmark.report import BenchmarkReport, write
from models.benchmark.results import BenchmarkResults, ConversationResult, Variant
from models.benchmark.run import Benchmark, open_rivals
from models.benchmark.share_tables import interjection_table, shares_table
from models.benchmark.speakers import DecodedSpeaker, decode, load_speakers
from models.benchmark.systems import curves_of, in_the_end, systems_of
from models.benchmark.tables import (
    System,
    Table,
    commands_table,
    decisions_table,
    points_table,
    takeover_table,
)
from models.evaluation.evaluate import make_writable
from models.evaluation.rttm import read_rttm, write_rttm
from models.sound.conditions import Degradation

PER_KIND = 150  # conversations of a kind
RESAMPLES = 1000  # of the bootstrap over speakers
REFUSED_SHOWN = 5  # recordings that the report's note names

# Stated (false accepts, false rejects): each is a run of its own through the engine.
POINTS: tuple[tuple[str, DecisionConfig], ...] = tuple(
    (f"{100 * accept:g} % / {100 * miss:g} %", DecisionConfig(false_accept=accept, miss=miss))
    for accept, miss in ((0.05, 0.1), (0.01, 0.05), (0.003, 0.02))
)
NOTES = (
    "Every conversation is made of whole utterances of the speakers, trimmed to their speech and"
    " joined with pauses of 0.1 to 0.6 s. No utterance both enrols and is heard, none is heard"
    " twice in a conversation; between conversations utterances recur.",
    f"Enrolment: {ENROL_S[0]:g} to {ENROL_S[1]:g} s of net speech, at most half of what there is"
    " of a speaker; the engine's own enrolment, whose refusals are left out and counted.",
    f"Strangers come from the claimed speaker's own source. Similar pitch: median F0 within"
    f" {100 * SIMILAR_PITCH:g} %; other pitch: not within.",
    "In brackets: 95 % interval, bootstrap over speakers; where nothing happened in N tries, its"
    " upper end is 3/N. Net speech is what the engine's detector hears, for all systems.",
)


class BenchmarkError(VoxwatchError):
    """A benchmark that cannot be carried out as it was asked for."""


def run(
    speakers: Path,
    output: Path,
    *,
    only: Path | None = None,
    bundle: Path | None = None,
    per_kind: int = PER_KIND,
    kinds: Sequence[Kind] = KINDS,
    noise: Path | None = None,
    rivals: Sequence[str] = (),
    rivals_hear: int | None = None,
    cache: Path | None = None,
    cosine_threshold: str | None = None,
    audio: Path | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
    provider: ProviderChoice = "cpu",
    threads: int = 1,
    progress: bool = True,
) -> BenchmarkReport:
    """Benchmark a bundle on ``speakers``, a folder of them or a list.

    Writes ``benchmark.json``, ``benchmark.md``, ``takeover.png``, ``times.png``,
    ``reference.rttm`` and ``voxwatch.rttm``. ``rivals`` are commands
    (:mod:`models.benchmark.rivals`), who hear at most ``rivals_hear`` conversations of a kind
    and whose answers are kept in ``cache``; ``cosine_threshold`` is that of the fixed-cosine
    baseline, a number or the ``benchmark.json`` of a run on other speakers; ``audio`` a folder
    for all the sound. Raises subclasses of ``VoxwatchError``.
    """
    began = time.monotonic()
    fixed_cosine = None if cosine_threshold is None else _threshold(cosine_threshold)
    for folder in filter(None, (output, audio)):
        make_writable(folder)
    degrade = Degradation(noise, seed=seed)
    engine = EngineUnderTest(load_bundle(bundle), provider)
    found = load_speakers(speakers, only)
    voices, refused = decode(found, engine.vad, threads=threads, progress=progress)
    planner = Planner(voices, seed)
    plans = planner.plans(per_kind, kinds)
    if not plans:
        raise BenchmarkError(_too_little(len(voices), refused))
    with ExitStack() as stack:
        others = open_rivals(rivals, cache, stack)
        bench = Benchmark(
            engine,
            voices,
            planner,
            degrade,
            seed=seed,
            variants=_variants(),
            rivals=others,
            rivals_hear=rivals_hear,
            audio=audio,
        )
        done = bench.run(plans, threads=threads, progress=progress)
    if not done.conversations:
        raise BenchmarkError(f"every enrolment was refused ({done.refused}): use better recordings")
    draws = Draws(len(voices), resamples, seed)
    systems = systems_of(others, fixed_cosine)
    curves = curves_of(done.conversations, others, draws)
    manifest = engine.bundle.manifest
    report = BenchmarkReport(
        system=f"{manifest.name} {manifest.version}",
        model={"sha256": manifest.model_sha256, "provider": engine.encoder.provider},
        settings={
            "conversations of a kind": per_kind,
            "noise": degrade.noise_source,
            "bootstrap resamples": resamples,
            "seed": seed,
            "fixed cosine": "none given" if fixed_cosine is None else fixed_cosine,
        },
        speakers=_described(voices, planner, done),
        notes=[*NOTES, *_refusals(refused)],
        tables=[*_tables(done.conversations, systems, curves, draws)],
        curves=curves,
        cosine_threshold=equal_error_threshold(done.conversations),
    )
    report.settings["minutes"] = round((time.monotonic() - began) / 60, 1)
    _save(report, done.conversations, systems, output)
    return report


def _variants() -> list[Variant]:
    """The error rates that conversations are decided by, each in a run of its own."""
    stated: frozenset[Kind] = frozenset({"single", "impostor"})
    return [*(Variant(name, config, stated) for name, config in POINTS), *sweep_variants()]


def _tables(
    results: Sequence[ConversationResult],
    systems: Sequence[System],
    curves: Sequence[Curve],
    draws: Draws,
) -> Iterator[Table]:
    """The tables of the report, in its order."""
    yield decisions_table(results, systems, draws)
    yield takeover_table(results, systems, draws)
    yield curve_table(curves)
    yield points_table(results, POINTS, draws)
    yield changes_table(results, draws)
    yield commands_table(results, draws)
    yield interjection_table(results, [*systems, in_the_end()], draws)
    yield shares_table(results, systems, draws)


def _threshold(text: str) -> float:
    """A number, or that of a report on other speakers."""
    try:
        return float(text)
    except ValueError:
        pass
    try:
        value = msgspec.json.decode(Path(text).read_bytes())["cosine_threshold"]
        return float(value)
    except (OSError, msgspec.DecodeError, KeyError, TypeError, ValueError) as error:
        raise BenchmarkError(
            f"{text} is neither a cosine nor the benchmark.json of another run with one"
        ) from error


def _described(
    voices: Sequence[DecodedSpeaker], planner: Planner, done: BenchmarkResults
) -> dict[str, Any]:
    sources = {voice.source for voice in voices}
    heard = sum(float(np.sum(np.diff(r.truth.spans, axis=1))) for r in done.conversations)
    count = {source: sum(voice.source == source for voice in voices) for source in sorted(sources)}
    return {
        "speakers": ", ".join(f"{name} {number}" for name, number in count.items()),
        "with enough speech to be claimed": len(planner.divisions),
        "net speech of a speaker, median s": round(float(np.median([v.speech_s for v in voices]))),
        "enrolled, net s (least, median, most)": _spread(done.enrol_s),
        "enrolments refused": done.refused or "none",
        "conversations": len(done.conversations),
        "net speech streamed, h": round(heard / 3600, 2),
    }


def _spread(values: Sequence[float]) -> str:
    return ", ".join(f"{np.quantile(values, q):.1f}" for q in (0, 0.5, 1)) if values else "none"


def _refusals(refused: Sequence[str]) -> list[str]:
    if not refused:
        return []
    shown = "; ".join(refused[:REFUSED_SHOWN])
    return [f"{len(refused)} recordings or speakers could not be used: {shown}"]


def _too_little(voices: int, refused: Sequence[str]) -> str:
    return (
        f"no conversation can be made of {voices} speakers: one of them needs"
        f" {2 * ENROL_S[0]:g} s of net speech in several recordings, and for strangers there must"
        f" be others of the same source ({len(refused)} could not be used)"
    )


def _save(
    report: BenchmarkReport,
    results: Sequence[ConversationResult],
    systems: Sequence[System],
    output: Path,
) -> None:
    times: dict[str, dict[str, list[float]]] = {}
    for what, kind, right in (("accepted", "single", False), ("rejected", "impostor", True)):
        for system in systems:
            heard = [(r, s) for r in results if r.truth.kind == kind and (s := system.states(r))]
            firsts = [first_decision(r.truth, states) for r, states in heard]
            times.setdefault(what, {})[system.name] = [
                f.speech_s if f is not None and (f.state in NO) is right else float("inf")
                for f in firsts
            ]
    try:
        write(report, times, output)
        write_rttm(output / "reference.rttm", {r.truth.name: r.turns for r in results})
        records = [(r.truth.name, r.unclaimed) for r in results if r.unclaimed is not None]
        told = {name: sorted((*one.turns, *one.overlaps)) for name, one in records}
        write_rttm(output / "voxwatch.rttm", told)
    except OSError as error:
        raise BenchmarkError(f"cannot write the report to {output}: {error.strerror}") from error


def score_rttm(
    reference: Path, hypothesis: Path, output: Path, *, resamples: int = RESAMPLES, seed: int = 0
) -> BenchmarkReport:
    """Score any system's RTTM against a reference; writes ``rttm.json`` and ``rttm.md``."""
    make_writable(output)
    table = rttm_table(read_rttm(reference), read_rttm(hypothesis), resamples, seed)
    report = BenchmarkReport(
        system=hypothesis.stem,
        model={},
        settings={"reference": reference.name, "bootstrap resamples": resamples, "seed": seed},
        speakers={},
        notes=["In brackets: 95 % interval, bootstrap over files."],
        tables=[table],
        curves=[],
        cosine_threshold=None,
    )
    write(report, {}, output, "rttm")
    return report
