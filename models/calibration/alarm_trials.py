"""What alarms of another voice are fitted on: spans of streams as they compare, and what the
filter of changes says of each stream."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from engine.decisions.change_filter import ChangeFilter
from engine.decisions.config import DecisionConfig
from engine.format import SAMPLE_RATE_HZ, seconds
from engine.model.manifest import DecisionFigures
from engine.scoring.identify import EnrolledVoiceprints
from models.calibration.alarm_fit import Continuation, Trace
from models.calibration.evidence_streams import Scorers, TakeoverStream

BEFORE_SAMPLES = 2 * SAMPLE_RATE_HZ  # of speech that a span is compared with, at least
SPANS_S = (0.5, 1.0, 1.5, 2.0, 3.0, 5.0)  # that are compared with the speech before them


def continuations(scorers: Scorers, streams: Sequence[TakeoverStream]) -> list[Continuation]:
    """Spans of every stream, after the takeover and where nobody took over, as they compare."""
    found = []
    for stream in streams:
        scorer = scorers[stream.talk.source]
        last, cell = stream.marks[-1].position, f"{stream.talk.source} {stream.talk.split}"
        moments = [*range(BEFORE_SAMPLES, stream.taken, SAMPLE_RATE_HZ), stream.taken]
        since = [
            (moment, moment + round(span_s * SAMPLE_RATE_HZ), f"{cell} {span_s}")
            for span_s in SPANS_S
            for moment in moments
        ]
        kept = [one for one in since if one[1] <= (stream.taken if one[0] < stream.taken else last)]
        if not kept:
            continue
        asked = [*((0, start) for start, _, _ in kept), *((start, end) for start, end, _ in kept)]
        length = np.array([seconds(end - start) for start, end in asked])
        embeddings, how = stream.spans.heard(asked)
        heard = scorer.prepare(embeddings, length)
        rows = np.arange(len(kept))
        before, after = heard.take(rows), heard.take(rows + len(kept))
        worth = scorer.worth(after, how[len(kept) :])
        claim = scorer.compare(stream.talk.enrolled, worth).llr
        voice, gain = scorer.compare(before, after).llr, scorer.gain(before, after)
        for row, (start, _, name) in zip(rows, kept, strict=True):
            figures = float(claim[row]), float(voice[row]), float(gain[row])
            found.append(Continuation(*figures, start < stream.taken, name))
    return found


def traces(
    scorers: Scorers,
    streams: Sequence[TakeoverStream],
    figures: DecisionFigures,
    *,
    claimed: bool,
) -> list[Trace]:
    """What the filter says of each stream, whose speaker is claimed, or nobody is enrolled."""
    found = []
    config = DecisionConfig()
    for stream in streams:
        scorer = scorers[stream.talk.source]
        people = {"claimed": stream.talk.enrolled} if claimed else {}
        enrolled, followed = EnrolledVoiceprints(people), ChangeFilter(scorer, figures)
        against, after_s, accepted, turns = [], [], [], stream.turns
        for mark in stream.marks:
            while turns and turns[0][0] < mark.position:
                followed.places.begin_turn(*turns.pop(0))
            belief = followed.step(stream.spans, mark.position, enrolled)
            if belief is not None:
                opposed = max((-float(odds) for odds in belief.odds), default=-math.inf)
                against.append(max(belief.log_odds, opposed))
                before = mark.position <= stream.taken
                late = seconds(mark.at - stream.taken)
                after_s.append(min(late, 0.0) if before else late)
                enough = seconds(mark.position) >= config.decide_s
                evidence = figures.evidence(belief.odds)
                accepted.append(not claimed or (enough and bool(evidence[0] >= config.accept_llr)))
        found.append(
            Trace(stream.talk.source, np.array(against), np.array(after_s), np.array(accepted))
        )
    return found
