"""Sessions of an exam, added up by what they were judged by."""

from __future__ import annotations

import msgspec

from streamer.reports import rates
from streamer.reports.judging import Judgings
from streamer.reports.report import Report


def test_sessions_of_one_model_and_bounds_are_added_up(taken: Report) -> None:
    first = taken.sessions[0]
    second = msgspec.structs.replace(first, speech_s=first.speech_s + 60)
    judgings = Judgings()
    judgings.add([first, second, first])  # of one candidate, who was cut off twice
    judgings.add([second])
    (judged,) = judgings.told()
    mean_s = 2 * first.speech_s + 60  # of a candidate
    assert (judged.sessions, judged.candidates, judged.speech_s) == (4, 2, 2 * mean_s)
    told = rates.sentences(msgspec.structs.replace(first, speech_s=mean_s))
    assert [one.replace(" on average", "") for one in judged.meaning] == list(told)


def test_other_bounds_and_another_model_are_told_by_themselves(taken: Report) -> None:
    first = taken.sessions[0]
    claim = first.claims[0]
    assert claim.bounds is not None
    assert first.model is not None
    strict = msgspec.structs.replace(claim.bounds, false_accept=0.001)
    asked = msgspec.structs.replace(first, claims=(msgspec.structs.replace(claim, bounds=strict),))
    model = msgspec.structs.replace(first.model, sha256="00" * 32)
    judgings = Judgings()
    judgings.add([first, asked, msgspec.structs.replace(first, model=model)])
    assert [(one.sessions, one.candidates) for one in judgings.told()] == [(1, 1)] * 3


def test_a_session_without_a_model_or_a_claim_is_no_error(taken: Report) -> None:
    judgings = Judgings()
    judgings.add([msgspec.structs.replace(taken.sessions[0], model=None)])
    assert judgings.told() == ()
    judgings.add([msgspec.structs.replace(taken.sessions[0], claims=())])
    (judged,) = judgings.told()
    assert judged.meaning == (rates.NOT_MEASURED,)
