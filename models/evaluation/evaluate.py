"""`voxwatch evaluate`: how well a bundle tells speakers apart, list by list.

Enrolment is all the net speech of a file, clean. The test side is cut to its first
seconds of net speech and then degraded (:mod:`models.sound.conditions`). Every file is embedded
once at each duration and condition; every figure has a bootstrap interval over speakers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from engine.errors import VoxwatchError
from engine.format import SAMPLE_RATE_HZ
from engine.model.bundle import load_bundle
from engine.model.encoder import ProviderChoice
from models.evaluation.bundle_system import BundleSystem
from models.evaluation.embeddings import (
    FULL,
    Cuts,
    Embeddings,
    Short,
    SystemUnderTest,
    embed_trials,
    resolve,
)
from models.evaluation.report import (
    METHOD_NOTES,
    EvaluationReport,
    duration_name,
    mean_rows,
    row,
    write,
)
from models.evaluation.scoring import RESAMPLES, Cell, left_out, score_lists
from models.evaluation.trials import TrialList, load_trials, speakers_of
from models.sound.conditions import CONDITIONS, Condition, Degradation

DURATIONS_S = (1.0, 2.0, 3.0, 5.0, FULL)
LEFT_OUT_SHOWN = 5  # recordings that the report's note names


class EvaluationError(VoxwatchError):
    """An evaluation that cannot be carried out as it was asked for."""


def run(
    trials: Sequence[Path],
    output: Path,
    *,
    audio_root: Path | None = None,
    reliable: Sequence[str] = (),
    bundle: Path | None = None,
    durations_s: Sequence[float] = DURATIONS_S,
    conditions: Sequence[Condition] = CONDITIONS,
    noise: Path | None = None,
    channel: int | None = None,
    short: Short = "drop",
    resamples: int = RESAMPLES,
    seed: int = 0,
    provider: ProviderChoice = "auto",
    threads: int = 1,
    progress: bool = True,
) -> EvaluationReport:
    """Evaluate a bundle and write ``report.json``, ``report.md``, ``det.png``, ``scores.png``.

    ``trials``: lists in VoxCeleb's form, or folders of speakers. ``audio_root``: where the
    lists' paths start, each list's own folder unless given. ``reliable``: names of the lists
    whose labels are right, which come first and alone count in the means; all unless given.
    ``bundle``: None is the default
    one. ``durations_s``: net seconds of the test side, ``math.inf`` for all of it.
    ``noise``: folder of noise pieces; without, pink noise is synthesised. ``channel``: of
    recordings that have several, from 0; without, those are left out. ``short``: whether
    trials whose test side lacks speech for a duration are dropped, or kept with what they
    have. Raises subclasses of ``VoxwatchError`` for every fault of input or output, and
    when no list has a figure for any duration.
    """
    cuts = checked_cuts(durations_s, conditions, short)
    make_writable(output)
    lists = load_lists(trials, audio_root, seed, reliable)
    degrade = Degradation(noise, seed=seed)
    system = BundleSystem(load_bundle(bundle), provider, threads=threads)
    if min(cuts.durations) < system.min_speech_s:
        raise EvaluationError(
            f"the model needs {system.min_speech_s:g} s of speech, not {min(cuts.durations):g}:"
            " name longer --durations"
        )
    report, cells = evaluate(
        lists,
        system,
        cuts,
        degrade,
        channel=channel,
        resamples=resamples,
        model=system.described(),
        progress=progress,
    )
    if not any(cell.cosine.figures for cell in cells):
        raise EvaluationError(nothing_measured(report.left_out, cells))
    try:
        write(report, cells, output)
    except OSError as error:
        raise EvaluationError(f"cannot write the report to {output}: {error.strerror}") from error
    return report


def evaluate(
    lists: Sequence[TrialList],
    system: SystemUnderTest,
    cuts: Cuts,
    degrade: Degradation,
    *,
    channel: int | None = None,
    resamples: int = RESAMPLES,
    model: dict[str, Any] | None = None,
    progress: bool = True,
) -> tuple[EvaluationReport, list[Cell]]:
    """Embed, score and measure any system; ``degrade.seed`` is the bootstrap's too.

    Raises ``EvaluationError`` when no file can be used.
    """
    (embeddings,) = embed_trials(lists, [system], cuts, degrade, channel=channel, progress=progress)
    if not embeddings.speech:
        first = next(iter(embeddings.refused.values()))
        raise EvaluationError(f"none of the lists' files can be used; the first: {first}")
    cells = score_lists(lists, system, embeddings, cuts, resamples=resamples, seed=degrade.seed)
    unused = left_out(lists, embeddings, cuts, system.min_speech_s)
    report = EvaluationReport(
        system=system.name,
        model=model or {},
        settings=settings(cuts, degrade, resamples, channel),
        lists=[listed(trials, embeddings) for trials in lists],
        notes=[*METHOD_NOTES, *_left_out_note(unused)],
        rows=[row(cell) for cell in cells],
        means=mean_rows(cells),
        left_out=unused,
    )
    return report, cells


def settings(
    cuts: Cuts, degrade: Degradation, resamples: int, channel: int | None = None
) -> dict[str, Any]:
    """What a report says of how it was made; nothing of what was not used."""
    made = {
        "durations": ", ".join(map(duration_name, cuts.durations)),
        "conditions": ", ".join(cuts.conditions),
        "test sides too short for a duration": {"drop": "dropped", "keep": "kept"}[cuts.short],
        "noise": degrade.noise_source if "noise" in cuts.conditions else None,
        "channel": channel,
        "bootstrap resamples": resamples,
        "seed": degrade.seed,
    }
    return {name: value for name, value in made.items() if value is not None}


def listed(trials: TrialList, embeddings: Embeddings) -> dict[str, Any]:
    """What a report says of a list."""
    speech = sum(embeddings.speech.get(resolve(trials, name), 0) for name in trials.files)
    return {
        "name": trials.name,
        "trials": len(trials.trials),
        "targets": sum(trial.target for trial in trials.trials),
        "speakers": len(np.unique(speakers_of(trials))),
        "files": len(trials.files),
        "net_speech_h": round(speech / SAMPLE_RATE_HZ / 3600, 2),
        "in_means": "yes" if trials.reliable else "no",
    }


def nothing_measured(unused: Sequence[str], cells: Sequence[Cell]) -> str:
    """Why there is no figure in any of the ``cells``, and what to do about it, in one line."""
    cures = ["name shorter --durations, or --short keep"] if any(c.short for c in cells) else []
    if unused:
        cures.append(f"replace the {len(unused)} recordings that were left out: {_first(unused)}")
    return (
        "nothing was measured: no duration has trials of one speaker and of two left: "
        + ", or ".join(cures)
    )


def _left_out_note(unused: Sequence[str]) -> list[str]:
    if not unused:
        return []
    return [f"{len(unused)} recordings were left out of the trials they were for: {_first(unused)}"]


def _first(reasons: Sequence[str]) -> str:
    more = ["..."] if len(reasons) > LEFT_OUT_SHOWN else []
    return "; ".join([*reasons[:LEFT_OUT_SHOWN], *more])


def load_lists(
    trials: Sequence[Path], audio_root: Path | None, seed: int, reliable: Sequence[str] = ()
) -> list[TrialList]:
    """Read every list or folder, the ``reliable`` ones first; all are where none is named.

    Raises ``VoxwatchError``, for two lists of one name and for a name that no list has as well.
    """
    lists = [load_trials(path, audio_root, seed=seed) for path in trials]
    if not lists:
        raise EvaluationError("no trials were named: give a trial list or a folder of speakers")
    names = [one.name for one in lists]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise EvaluationError(f"two trial lists have the name {min(twice)!r}: rename one")
    unknown = sorted(set(reliable) - set(names))
    if unknown:
        raise EvaluationError(
            f"no trial list has the name {unknown[0]!r}: --reliable names one of {', '.join(names)}"
        )
    marked = [replace(one, reliable=not reliable or one.name in reliable) for one in lists]
    return sorted(marked, key=lambda one: not one.reliable)


def parse_durations(text: str) -> list[float]:
    """Durations in seconds from text like ``1,2,3,5,full``. Raises ``EvaluationError``."""
    try:
        return [FULL if part.strip() == "full" else float(part) for part in text.split(",")]
    except ValueError as error:
        raise EvaluationError(
            f"durations are seconds or `full`, separated by commas, got {text!r}"
        ) from error


def parse_conditions(text: str) -> list[Condition]:
    """Conditions from text like ``clean,noise``; ``all`` is all. Raises ``EvaluationError``."""
    names = CONDITIONS if text == "all" else [part.strip() for part in text.split(",")]
    _check_conditions(names)
    return [cast(Condition, name) for name in names]


def _check_conditions(names: Sequence[str]) -> None:
    unknown = [name for name in names if name not in CONDITIONS]
    if unknown or not names:
        wrong = repr(unknown[0]) if unknown else "without a name"
        raise EvaluationError(f"no condition {wrong}: choose from {', '.join(CONDITIONS)}")


def checked_cuts(
    durations_s: Sequence[float], conditions: Sequence[Condition], short: Short
) -> Cuts:
    """The cuts asked for, each once. Raises ``EvaluationError`` for what does not exist."""
    _check_conditions(conditions)
    if not durations_s or not all(duration > 0 for duration in durations_s):
        raise EvaluationError("durations must be positive seconds, or `full` for all net speech")
    if short not in ("drop", "keep"):
        raise EvaluationError(f"short trials are dropped or kept: say drop or keep, not {short!r}")
    return Cuts(tuple(dict.fromkeys(durations_s)), tuple(dict.fromkeys(conditions)), short)


def make_writable(output: Path) -> None:
    """Make the output folder now: better to fail here than after an hour of embedding."""
    try:
        output.mkdir(parents=True, exist_ok=True)
        probe = output / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise EvaluationError(
            f"cannot write to the output folder {output}: {error.strerror}; choose another"
        ) from error
