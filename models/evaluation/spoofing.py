"""How often cloned voices are let in: lists whose rows are ``bonafide`` or ``spoof enrol test``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from engine.decisions.config import DecisionConfig
from engine.format import SAMPLE_RATE_HZ
from engine.model.manifest import DecisionFigures
from engine.scoring.scorer import CalibratedScores
from models.evaluation.embeddings import FULL, Cuts, SystemUnderTest, embed_trials, resolve
from models.evaluation.stated_rates import STATED
from models.evaluation.trials import Trial, TrialError, TrialList
from models.sound.conditions import Degradation

KINDS = ("bonafide", "spoof")


def read_spoof_list(path: Path) -> TrialList:
    """The rows as trials, a bonafide one as a target. Raises ``TrialError``."""
    trials = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        parts = line.split()
        if len(parts) != 3 or parts[0] not in KINDS:
            raise TrialError(
                f"{path}, line {number}: expected `spoof enrol test` or `bonafide ...`"
            )
        trials.append(Trial(parts[0] == "bonafide", parts[1], parts[2]))
    return TrialList(path.stem, path.parent, tuple(trials), reliable=False)


def spoof_acceptance(
    trials: TrialList, system: SystemUnderTest, figures: DecisionFigures, *, progress: bool = True
) -> list[dict[str, Any]]:
    """Shares of real and of cloned clips that are accepted as the voice, whole, by stated rate."""
    cuts = Cuts((FULL,), ("clean",))
    (embedded,) = embed_trials([trials], [system], cuts, Degradation(), progress=progress)
    usable, rows = [], []
    for trial in trials.trials:
        sides = [_row(trials, name, embedded) for name in (trial.enrol, trial.test)]
        if None not in sides:
            usable.append(trial.target)
            rows.append(sides)
    vectors, seconds = embedded.vectors(), embedded.samples() / SAMPLE_RATE_HZ
    scores = system.score(vectors, seconds, vectors, seconds, np.array(rows, np.intp))
    assert isinstance(scores, CalibratedScores)
    evidence = figures.evidence(scores.llr)
    return [_accepted(evidence, np.array(usable, bool), stated) for stated in STATED]


def _row(trials: TrialList, name: str, embedded: Any) -> int | None:
    path = resolve(trials, name)
    row: int | None = embedded.row((path, embedded.speech.get(path, 0), "clean"))
    return row


def _accepted(evidence: Any, real: Any, stated: Sequence[float]) -> dict[str, Any]:
    accepted = evidence >= DecisionConfig(false_accept=stated[0], miss=stated[1]).accept_llr
    return {
        "stated_false_accept": stated[0],
        "stated_miss": stated[1],
        "real_trials": int(real.sum()),
        "cloned_trials": int((~real).sum()),
        "real_accepted": round(float(accepted[real].mean()), 4),
        "clones_accepted": round(float(accepted[~real].mean()), 4),
    }
