"""What alarms of another voice are fitted on: spans of streams as they compare, and what the
filter of changes says of each stream."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from engine.decisions.change_filter import ChangeFilter
from engine.decisions.config import DecisionConfig
from engine.format import SAMPLE_RATE_HZ, seconds
from engine.model.manifest import DecisionFigures, saturated
from engine.scoring.identify import EnrolledVoiceprints
from models.calibration.alarm_fit import Continuation, Trace
from models.calibration.evidence_streams import Scorers, TakeoverStream

BEFORE_S = (2.0, 5.0, 10.0, 20.0)  # of speech that a span is compared with
SPANS_S = (0.5, 1.0, 1.5, 2.0, 3.0, 5.0)  # that are compared with the speech before them


def continuations(scorers: Scorers, streams: Sequence[TakeoverStream]) -> list[Continuation]:
    """Spans of every stream, after the takeover and where nobody took over, as they compare."""
    found = []
    for stream in streams:
        scorer = scorers[stream.talk.source]
        last, cell = stream.marks[-1].position, f"{stream.talk.source} {stream.talk.split}"
        moments = [*range(SAMPLE_RATE_HZ, stream.taken, SAMPLE_RATE_HZ), stream.taken]
        # Takeovers come at the ends of streams: as much speech before them as before any moment.
        near = [
            (moment - round(before_s * SAMPLE_RATE_HZ), moment, f"{cell} {before_s}")
            for before_s in BEFORE_S
            for moment in moments
        ]
        kept = [
            (start, moment, moment + round(span_s * SAMPLE_RATE_HZ), f"{name} {span_s}")
            for span_s in SPANS_S
            for start, moment, name in near
            if start >= 0
        ]
        kept = [one for one in kept if one[2] <= (stream.taken if one[1] < stream.taken else last)]
        if not kept:
            continue
        asked = [*((start, at) for start, at, *_ in kept), *((at, end) for _, at, end, _ in kept)]
        length = np.array([seconds(end - start) for start, end in asked])
        heard = scorer.prepare(stream.spans.embeddings(asked), length)
        rows = np.arange(len(kept))
        before, after = heard.take(rows), heard.take(rows + len(kept))
        claim = scorer.compare(stream.talk.enrolled, after).llr
        claimed = saturated(scorer.compare(stream.talk.enrolled, before).llr)
        voice, gain = scorer.compare(before, after).llr, scorer.gain(before, after)
        for row, (_, moment, _, name) in zip(rows, kept, strict=True):
            found.append(
                Continuation(
                    claim=float(claim[row]),
                    voice=float(voice[row]),
                    before=float(claimed[row]),
                    gain=float(gain[row]),
                    same=moment < stream.taken,
                    cell=name,
                )
            )
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
