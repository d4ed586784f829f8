"""The session: same sound, same events, whatever the chunking and the order of results."""

# Long: one file for one class, whose tests share the answers to its jobs that stand below.

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import msgspec
import numpy as np
import pytest
from fake_scorers import fake_scorer
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.audio.pcm import PcmDecoder
from engine.audio.quality import PeakMeter
from engine.decisions.change_places import LAPSE_S
from engine.decisions.config import DecisionConfig
from engine.errors import AudioError
from engine.events import (
    AnyEvent,
    Change,
    Decision,
    Failure,
    Lag,
    Quality,
    Score,
    Summary,
    Utterance,
    Vad,
)
from engine.format import SAMPLE_RATE_HZ, Encoding
from engine.jobs import EmbedJob, EmbedResult, Job, JobFailure, Result, VadJob, VadResult
from engine.scoring.scorer import PreparedEmbeddings
from engine.session import Session
from engine.session_config import SessionConfig
from engine.spans.windows import WindowSpans

SIZE = 8
SCORER = fake_scorer(SIZE)
VOICES = {"anna": 0.2, "berta": 0.5}  # a voice is the level of its samples


def voice(level: float) -> np.ndarray:
    """Embedding of a level: one axis for each tenth."""
    embedding = np.zeros((1, SIZE), np.float32)
    embedding[0, round(level * 10) % SIZE] = 1.0
    return embedding


def enrolled(*names: str) -> dict[str, PreparedEmbeddings]:
    return {name: SCORER.prepare(voice(VOICES[name]), 10.0) for name in names}


def answer(job: Job) -> Result:
    """A detector of loudness and an encoder of level: deterministic, and right."""
    if isinstance(job, VadJob):
        return VadResult(job.number, (np.abs(job.frames).mean(axis=1) > 0.05) * 1.0, job.state)
    levels = np.round(np.abs(job.samples) * 10).astype(int) % SIZE
    shares = np.bincount(levels, minlength=SIZE).astype(np.float32)  # two voices: in between
    return EmbedResult(job.number, shares / np.linalg.norm(shares))


def pcm(*parts: tuple[float, float]) -> bytes:
    """Parts of (level, seconds) as s16le."""
    levels = [np.resize([level, -level], round(s * SAMPLE_RATE_HZ)) for level, s in parts]
    return (np.concatenate(levels) * 32767).astype("<i2").tobytes()


def run(
    session: Session,
    pieces: list[bytes],
    order: Callable[[list[Job]], list[Job]] = lambda jobs: jobs,
    reply: Callable[[Job], Result] = answer,
) -> list[AnyEvent]:
    events: list[AnyEvent] = []
    pending: list[Job] = []
    for piece in [*pieces, None]:
        if piece is None:
            session.receive_eof()
        else:
            session.receive_pcm(piece)
        pending += session.jobs_to_run()
        while pending:
            pending = order(pending)
            session.receive_result(reply(pending.pop(0)))
            pending += session.jobs_to_run()
            events += session.events()
    events += session.events()
    assert not session.waiting
    return events


SOUND = pcm((0.0, 0.7), (0.2, 4.0), (0.0, 1.0), (0.2, 2.0), (0.5, 5.0), (0.0, 0.5))


# Voices that are told apart as little as these need a budget that allows an alarm.
ALARMED = SessionConfig(decisions=DecisionConfig(false_alarms_per_hour=20.0))


def reference() -> list[AnyEvent]:
    return run(Session(SCORER, enrolled("anna", "berta"), config=ALARMED), [SOUND])


@settings(max_examples=25)
@given(
    cuts=st.lists(st.integers(0, len(SOUND)), max_size=10),
    seed=st.integers(0, 2**31),
)
def test_any_chunking_and_any_order_of_results_give_the_same_events(
    cuts: list[int], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    edges = sorted({0, len(SOUND), *cuts})
    pieces = [SOUND[a:b] for a, b in pairwise(edges)]
    shuffled = run(
        Session(SCORER, enrolled("anna", "berta"), config=ALARMED),
        pieces,
        order=lambda jobs: [jobs[i] for i in rng.permutation(len(jobs))],
    )
    assert msgspec.to_builtins(shuffled) == msgspec.to_builtins(reference())


def test_events_come_in_media_order_and_the_summary_is_the_last() -> None:
    events = reference()
    times = [e.t for e in events]
    assert times == sorted(times)
    assert isinstance(events[-1], Summary)


def test_the_first_score_comes_with_the_first_second_of_speech() -> None:
    first = next(e for e in reference() if isinstance(e, Score))
    assert first.net_speech_s == 1.0
    assert first.window_s == 1.0
    assert first.t == pytest.approx(0.7 + 1.0, abs=0.1)


def test_speech_starts_and_ends() -> None:
    edges = [(e.speech, e.at) for e in reference() if isinstance(e, Vad)]
    assert [speech for speech, _ in edges] == [True, False, True, False]
    for (_, at), expected in zip(edges, [0.7, 4.7, 5.7, 12.7], strict=True):
        assert at == pytest.approx(expected, abs=0.1)


def test_takeover_is_decided_and_the_change_back_dated() -> None:
    events = reference()
    decided = [(e.state, e.speaker) for e in events if isinstance(e, Decision)]
    assert decided[0] == ("insufficient", "anna")
    assert ("match", "anna") in decided
    assert decided[-1] == ("match", "berta")
    changes = [e for e in events if isinstance(e, Change)]
    assert len(changes) == 1
    assert changes[0].at == pytest.approx(7.7, abs=0.75)  # by windows of up to 3 s
    assert changes[0].detected_at <= 7.7 + 4.0
    assert (changes[0].from_speaker, changes[0].to_speaker) == ("anna", "voice-2")


def test_an_unclaimed_stranger_is_unknown_and_a_claimed_one_a_mismatch() -> None:
    stranger = [pcm((0.7, 4.0))]
    open_set = run(Session(SCORER, enrolled("anna"), claimed=False), stranger)
    claimed = run(Session(SCORER, enrolled("anna")), stranger)
    assert [e for e in open_set if isinstance(e, Decision)][-1].state == "unknown"
    assert [e for e in claimed if isinstance(e, Decision)][-1].state == "mismatch"


def test_without_voiceprints_changes_are_still_found() -> None:
    events = run(Session(SCORER, {}), [pcm((0.2, 4.0), (0.5, 4.0))])
    told = [type(e) for e in events if not isinstance(e, Quality)]
    assert told == [Vad, Change, Utterance, Vad, Utterance, Summary]
    for utterance in of(Utterance, events):
        assert (utterance.state, utterance.speaker, utterance.llr) == ("unknown", None, None)


def test_without_voiceprints_a_window_is_embedded_once_and_whole() -> None:
    lengths: list[int] = []

    def noting(job: Job) -> Result:
        if isinstance(job, EmbedJob):
            lengths.append(len(job.samples))
        return answer(job)

    run(Session(SCORER, {}), [pcm((0.2, 8.0))], reply=noting)
    assert lengths == [16_000, 24_000, 32_000, 40_000, *[48_000] * 11]


def test_silence_is_no_evidence() -> None:
    events = run(Session(SCORER, enrolled("anna")), [pcm((0.0, 5.0))])
    assert [type(e) for e in events] == [Decision, Quality, Quality, Summary]
    summary = events[-1]
    assert isinstance(summary, Summary)
    assert (summary.received_s, summary.speech_s) == (5.0, 0.0)
    assert summary.decisions == {"insufficient": 1}


@pytest.mark.parametrize(
    ("people", "claimed", "speaker"),
    [(["anna"], True, "anna"), (["anna", "berta"], True, None), (["anna"], False, None)],
)
def test_who_hears_nobody_is_told_that_nothing_can_be_said_yet(
    people: list[str], claimed: bool, speaker: str | None
) -> None:
    events = run(Session(SCORER, enrolled(*people), claimed=claimed), [pcm((0.0, 5.0))])
    (told,) = (e for e in events if isinstance(e, Decision))
    assert (told.t, told.state, told.speaker) == (1.5, "insufficient", speaker)
    assert told.cause == "little-speech"
    assert told.advice.startswith("0.0 s of speech")
    assert told.accept_llr is not None


def test_that_nobody_was_heard_is_told_once_and_only_if_it_is_so() -> None:
    first = [
        next(e for e in run(Session(SCORER, enrolled("anna")), [sound]) if isinstance(e, Decision))
        for sound in (pcm((0.2, 3.0)), pcm((0.0, 0.7), (0.2, 3.0)), pcm((0.0, 1.0), (0.2, 3.0)))
    ]
    assert all(decision.net_speech_s >= 0.4 for decision in first)
    later = run(Session(SCORER, enrolled("anna")), [pcm((0.0, 3.0), (0.2, 4.0))])
    states = [e.state for e in later if isinstance(e, Decision)]
    assert states.count("insufficient") == 1
    assert len(states) > 1


def test_without_anybody_enrolled_and_before_it_is_time_nothing_is_told() -> None:
    for session, seconds in ((Session(SCORER, {}), 5.0), (Session(SCORER, enrolled("anna")), 1.4)):
        events = run(session, [pcm((0.0, seconds))])
        assert not [e for e in events if isinstance(e, Decision)]


def test_a_failed_window_is_an_error_and_not_a_low_score() -> None:
    def reply(job: Job) -> Result:
        if isinstance(job, EmbedJob) and len(job.samples) < 1.5 * SAMPLE_RATE_HZ:
            return JobFailure(job.number, "out of memory")
        return answer(job)

    events = run(Session(SCORER, enrolled("anna")), [pcm((0.2, 3.0))], reply=reply)
    failures = [e for e in events if isinstance(e, Failure)]
    assert [f.message for f in failures] == ["out of memory"]
    scores = [e for e in events if isinstance(e, Score)]
    assert scores
    assert min(s.window_s for s in scores) == 1.5


def test_sound_after_the_end_is_refused() -> None:
    session = Session(SCORER, {})
    session.receive_eof()
    with pytest.raises(RuntimeError, match="has ended"):
        session.receive_pcm(b"\0\0")


def test_an_answer_nobody_asked_for_is_refused() -> None:
    with pytest.raises(KeyError):
        Session(SCORER, {}).receive_result(EmbedResult(7, voice(0.1)[0]))


def of(kind: type, events: list[AnyEvent]) -> list:
    return [event for event in events if isinstance(event, kind)]


SHORT = pcm((0.0, 0.3), (0.2, 1.7), (0.0, 0.5))


def encoded(encoding: Encoding, rate: int) -> bytes:
    """``SHORT`` as another encoding and rate; G.711 codes of a level near 0.2."""
    levels = np.abs(np.frombuffer(SHORT, "<i2").astype(np.float32)) / 32768
    levels = np.repeat(levels, -(-rate // SAMPLE_RATE_HZ))[: round(len(levels) * rate / 16000)]
    levels = levels * np.resize([1.0] * 8 + [-1.0] * 8, len(levels)).astype(np.float32)
    if encoding == "pcm_s16le":
        return (levels * 32767).astype("<i2").tobytes()
    if encoding == "pcm_f32le":
        return levels.astype("<f4").tobytes()
    loud, silent = (0xA6, 0xFF) if encoding == "mulaw" else (0x8C, 0xD5)
    codes = np.where(levels > 0.1, loud, np.where(levels < -0.1, loud ^ 0x80, silent))
    return codes.astype(np.uint8).tobytes()


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
@pytest.mark.parametrize("encoding", ["pcm_s16le", "pcm_f32le", "mulaw", "alaw"])
def test_every_format_in_pieces_of_any_size_down_to_a_byte(encoding: Encoding, rate: int) -> None:
    data = encoded(encoding, rate)

    def heard(pieces: list[bytes]) -> list[AnyEvent]:
        decoder = PcmDecoder(encoding, rate)
        return run(Session(SCORER, enrolled("anna"), decoder=decoder), pieces)

    whole = heard([data])
    assert of(Score, whole)
    for size in (1237, 10_001):
        pieces = [data[i : i + size] for i in range(0, len(data), size)]
        assert msgspec.to_builtins(heard(pieces)) == msgspec.to_builtins(whole)
    bytewise = [data[i : i + 1] for i in range(4000)]
    assert msgspec.to_builtins(heard([*bytewise, data[4000:]])) == msgspec.to_builtins(whole)


def test_every_claimed_speaker_has_a_score_and_identification_only_the_best() -> None:
    sound = [pcm((0.2, 3.0))]
    claimed = of(Score, run(Session(SCORER, enrolled("berta", "anna")), sound))
    assert [s.speaker for s in claimed[:4]] == ["anna", "berta"] * 2
    assert {s.runner_up for s in claimed} == {None}
    found = of(Score, run(Session(SCORER, enrolled("berta", "anna"), claimed=False), sound))
    assert {(s.speaker, s.runner_up) for s in found} == {("anna", "berta")}
    assert len(claimed) == 2 * len(found)


def test_of_several_prototypes_the_nearest_speaks() -> None:
    both = np.concatenate([voice(VOICES["berta"]), voice(VOICES["anna"])])
    claims = {"anna": SCORER.prepare(both, 10.0), "berta": SCORER.prepare(voice(0.5), 10.0)}
    scores = of(Score, run(Session(SCORER, claims), [pcm((0.2, 2.0))]))
    assert {s.speaker: s.cosine for s in scores} == {"anna": 1.0, "berta": 0.0}


def test_an_utterance_says_who_was_heard() -> None:
    events = run(Session(SCORER, enrolled("anna"), config=ALARMED), [SOUND])
    spoken = of(Utterance, events)
    assert [(u.state, u.speaker) for u in spoken] == [
        ("match", "anna"),
        ("match", "anna"),
        ("mismatch", "anna"),
    ]
    for utterance in spoken:
        assert utterance.speech_s == pytest.approx(utterance.end - utterance.start)
    assert spoken[0].t == pytest.approx(spoken[0].end + 0.6)
    assert spoken[0].llr == pytest.approx(5.0, abs=0.1)
    assert spoken[0].posterior == pytest.approx(1 / (1 + np.exp(-spoken[0].llr)))


@pytest.mark.parametrize("pause_s", [0.8, 3.0, 20.0])
def test_a_turn_is_judged_by_its_own_speech_whatever_was_said_before(pause_s: float) -> None:
    sound = [pcm((0.2, 5.0), (0.0, pause_s), (0.5, 2.0), (0.0, pause_s), (0.2, 1.0))]
    owner, stranger, again = of(Utterance, run(Session(SCORER, enrolled("anna")), sound))
    assert (owner.state, stranger.state, again.state) == ("match", "mismatch", "match")
    assert (owner.llr, stranger.llr, again.llr) == pytest.approx((5.0, -5.0, 5.0), abs=0.5)


def test_speech_is_one_turn_across_a_pause_that_is_shorter_than_the_configured_one() -> None:
    sound = [pcm((0.2, 2.0), (0.0, 0.4), (0.2, 2.0), (0.0, 0.8), (0.2, 2.0))]
    spoken = of(Utterance, run(Session(SCORER, enrolled("anna")), sound))
    assert [u.start for u in spoken] == pytest.approx([0.0, 5.2], abs=0.1)
    assert spoken[0].speech_s < spoken[0].end - spoken[0].start - 0.2
    config = SessionConfig(turn_pause_s=0.2)
    assert len(of(Utterance, run(Session(SCORER, enrolled("anna"), config=config), sound))) == 3


def test_a_turn_of_half_a_second_is_judged_and_a_shorter_one_is_insufficient() -> None:
    sound = [pcm((0.2, 0.6), (0.0, 1.0), (0.5, 0.6), (0.0, 1.0), (0.2, 0.1))]
    short, other, shortest = of(Utterance, run(Session(SCORER, enrolled("anna")), sound))
    assert (short.state, other.state) == ("match", "mismatch")
    assert (shortest.state, shortest.speaker, shortest.llr) == ("insufficient", None, None)
    assert shortest.reason.endswith("s of speech, 0.4 s are needed")


def test_a_turn_whose_embedding_failed_is_an_error_and_no_verdict() -> None:
    def reply(job: Job) -> Result:
        return JobFailure(job.number, "out of memory") if isinstance(job, EmbedJob) else answer(job)

    events = run(Session(SCORER, enrolled("anna")), [pcm((0.2, 0.8))], reply=reply)
    assert [e.message for e in of(Failure, events)] == ["out of memory"]
    (utterance,) = of(Utterance, events)
    assert (utterance.state, utterance.reason) == ("insufficient", "out of memory")


def test_a_turn_has_the_problems_of_its_own_sound() -> None:
    sound = [pcm((0.2, 2.0), (0.0, 1.0), (0.99, 2.0), (0.0, 1.0), (0.2, 2.0))]
    spoken = of(Utterance, run(Session(SCORER, enrolled("anna")), sound))
    assert [u.problems for u in spoken] == [(), ("clipped",), ()]


def test_quality_comes_every_two_seconds_and_tells_speech_from_noise() -> None:
    noise, speech = (0.01, 3.0), (0.2, 3.0)
    found = of(Quality, run(Session(SCORER, {}), [pcm(noise, speech)]))
    assert [q.t for q in found] == [2.0, 4.0, 6.0]
    assert [q.speech_share for q in found] == [0.0, pytest.approx(0.5, abs=0.05), 1.0]
    assert found[0].level_dbfs == pytest.approx(-40, abs=0.2)
    assert found[0].problems == ("no-speech",)
    assert found[2].level_dbfs == pytest.approx(-14, abs=0.2)
    assert found[2].snr_db == pytest.approx(26, abs=1)
    assert found[2].problems == ()


def test_match_is_counted_in_speech_and_not_on_the_clock() -> None:
    pause = run(Session(SCORER, enrolled("anna")), [pcm((0.2, 4.0), (0.0, 20.0), (0.2, 4.0))])
    straight = run(Session(SCORER, enrolled("anna")), [pcm((0.2, 8.0))])
    (with_pause,), (without,) = of(Summary, pause), of(Summary, straight)
    # From the first match at 1.5 s to the last score, on a grid of half a second.
    assert with_pause.match_s == pytest.approx(6.5, abs=0.5)
    assert with_pause.match_s == pytest.approx(without.match_s, abs=0.5)


def test_a_decision_lapses_when_another_voice_is_as_likely_as_the_same() -> None:
    sound = [pcm((0.2, 3.0), (0.0, 40.0), (0.5, 1.9))]
    events = run(Session(SCORER, enrolled("anna")), sound)
    ended = next(e.at for e in of(Vad, events) if not e.speech)
    lapse = next(e for e in of(Decision, events) if "no speech" in e.reason)
    assert lapse.reason == "no speech for 29 s"
    assert (lapse.state, lapse.speaker, lapse.llr) == ("insufficient", "anna", None)
    assert lapse.t == pytest.approx(ended + LAPSE_S)
    after = [e for e in of(Score, events) if e.t > lapse.t]
    assert [e.window_s for e in after] == [1.0, 1.5]  # the speech before is not in them
    assert of(Decision, events)[-1].state == "mismatch"


def test_silence_that_is_not_long_changes_nothing() -> None:
    events = run(Session(SCORER, enrolled("anna")), [pcm((0.2, 3.0), (0.0, 29.0))])
    assert of(Decision, events)[-1].state == "match"


def test_new_bounds_hold_from_where_they_were_asked_for() -> None:
    session = Session(SCORER, enrolled("anna"))
    before = run_open(session, pcm((0.2, 3.0)))
    assert of(Decision, before)[-1].state == "match"
    session.configure(DecisionConfig(false_accept=0.001))  # wants an LLR of 6.9, has 5
    after = run(session, [pcm((0.2, 1.0))])
    assert [d.state for d in of(Decision, after)] == ["uncertain"]


def test_another_claim_starts_without_a_decision() -> None:
    session = Session(SCORER, enrolled("anna"))
    run_open(session, pcm((0.2, 3.0)))
    session.claim(enrolled("berta"), True)
    decided = of(Decision, run(session, [pcm((0.2, 1.0))]))
    assert [(d.state, d.speaker) for d in decided] == [
        ("insufficient", None),
        ("mismatch", "berta"),
    ]
    assert decided[0].reason == "the claim was changed"


def run_open(session: Session, piece: bytes) -> list[AnyEvent]:
    """Sound that is not the last."""
    session.receive_pcm(piece)
    while jobs := session.jobs_to_run():
        for job in jobs:
            session.receive_result(answer(job))
    return list(session.events())


def test_a_server_that_is_behind_widens_the_hop_and_says_so() -> None:
    session = Session(SCORER, enrolled("anna"))
    run_open(session, pcm((0.2, 3.0)))
    session.set_overload(2.0, 0.8)
    session.set_overload(2.0, 0.9)  # nothing new
    wide = run_open(session, pcm((0.2, 8.0)))
    session.set_overload(0.1, 0.0)
    narrow = run(session, [pcm((0.2, 4.0))])
    assert [(e.hop_s, e.behind_s, e.reason) for e in of(Lag, wide)] == [(2.0, 0.8, "overload")]
    assert [(e.hop_s, e.behind_s) for e in of(Lag, narrow)] == [(0.5, 0.0)]
    assert set(np.diff([e.net_speech_s for e in of(Score, wide)])[1:]) == {2.0}
    assert set(np.diff([e.net_speech_s for e in of(Score, narrow)])[1:]) == {0.5}


def test_a_hop_wider_than_the_window_would_leave_speech_unheard() -> None:
    session = Session(SCORER, enrolled("anna"))
    session.set_overload(60.0, 9.0)
    assert [e.hop_s for e in of(Lag, list(session.events()))] == [3.0]


def test_the_last_torn_frame_is_heard_and_not_counted_longer_than_it_is() -> None:
    sound = pcm((0.2, 2.0))[: 2 * (31_232 + 17)]  # 61 frames and 17 samples
    (summary,) = of(Summary, run(Session(SCORER, {}), [sound]))
    assert summary.received_s == summary.speech_s == (31_232 + 17) / SAMPLE_RATE_HZ


@given(samples=st.integers(0, 3000))
def test_a_stream_of_any_length_ends(samples: int) -> None:
    events = run(Session(SCORER, enrolled("anna")), [pcm((0.2, samples / SAMPLE_RATE_HZ))])
    (summary,) = of(Summary, events)
    assert summary.received_s == samples / SAMPLE_RATE_HZ


def test_backlog_is_the_sound_not_yet_dealt_with() -> None:
    session = Session(SCORER, enrolled("anna"))
    session.receive_pcm(pcm((0.2, 4.0)))
    assert (session.received_s, session.backlog_s) == (4.0, 4.0)
    held: list[Job] = []
    while jobs := session.jobs_to_run():
        held += [job for job in jobs if isinstance(job, EmbedJob)]
        for job in jobs:
            if isinstance(job, VadJob):
                session.receive_result(answer(job))
    assert session.backlog_s == pytest.approx(3.0)  # from the first window, which ends at 1 s
    for job in held:
        session.receive_result(answer(job))
    assert session.backlog_s < 0.1


def test_memory_does_not_grow_with_the_stream() -> None:
    session = Session(SCORER, enrolled("anna"))
    for _ in range(40):
        run_open(session, pcm((0.2, 3.0)))
    speech = session._speech
    assert isinstance(speech, WindowSpans)
    held = session._pipeline._segmenter._buffer, speech._windows._speech, speech._sound
    assert sum(buffer._buffer.nbytes for buffer in held) < 2e6
    assert not session._pipeline._items
    assert not speech._planned
    assert speech._known[0].end > speech.position - 61 * SAMPLE_RATE_HZ


def test_the_meter_changes_nothing_that_is_said() -> None:
    plain, metered = Session(SCORER, {}), Session(SCORER, {})
    metered.meter = PeakMeter()
    assert msgspec.to_builtins(run(metered, [SHORT])) == msgspec.to_builtins(run(plain, [SHORT]))
    peaks = metered.meter.take()
    assert len(peaks) == 125
    assert max(peaks) == round(0.2 * 127)


def test_what_is_not_sound_is_refused() -> None:
    session = Session(SCORER, {}, decoder=PcmDecoder("pcm_f32le"))
    with pytest.raises(AudioError, match="not finite"):
        session.receive_pcm(np.array([np.nan], "<f4").tobytes())


def test_a_detection_that_failed_ends_the_stream() -> None:
    session = Session(SCORER, {})
    session.receive_pcm(SHORT)
    (job,) = session.jobs_to_run()
    with pytest.raises(RuntimeError, match="cannot go on: no memory"):
        session.receive_result(JobFailure(job.number, "no memory"))


def test_the_end_is_known() -> None:
    session = Session(SCORER, {})
    session.receive_eof()
    assert [type(e) for e in session.events()] == [Summary]
    assert not session.waiting
    assert not list(session.events())


def test_a_turn_begins_where_the_client_says() -> None:
    session = Session(SCORER, enrolled("anna"))
    session.receive_pcm(pcm((0.2, 3.0)))
    session.turn()
    spoken = of(Utterance, run(session, [pcm((0.5, 2.0))]))
    assert [(u.start, u.end) for u in spoken] == [(0.0, 3.0), (3.0, 5.0)]
    assert [u.state for u in spoken] == ["match", "mismatch"]


@pytest.mark.parametrize(
    ("at_s", "speech"), [(0.3, False), (2.0, True), (3.02, True), (6.0, False)]
)
def test_at_a_turn_it_is_told_when_all_before_it_has_been_heard(at_s: float, speech: bool) -> None:
    session, sound = Session(SCORER, enrolled("anna")), pcm((0.0, 1.0), (0.2, 2.0), (0.0, 4.0))
    session.receive_pcm(sound[: 2 * round(at_s * SAMPLE_RATE_HZ)])
    session.turn()
    events = run(session, [sound[2 * round(at_s * SAMPLE_RATE_HZ) :]])
    asked = events.index(Vad(t=at_s, speech=speech, at=at_s))
    late = [vad.at for vad in of(Vad, events[asked + 1 :]) if vad.speech]
    assert all(at >= at_s for at in late)


@settings(max_examples=15)
@given(cuts=st.lists(st.integers(0, 32_000), max_size=4))
def test_what_is_asked_for_holds_from_its_sample_on_whatever_was_heard_by_then(
    cuts: list[int],
) -> None:
    """The same sound before the request and after it, in whatever pieces, is told the same of."""
    before, after = pcm((0.2, 2.0)), pcm((0.2, 1.0), (0.5, 2.0))

    def told(edges: list[int], *, at_once: bool) -> list[AnyEvent]:
        session = Session(SCORER, enrolled("anna"))
        for a, b in pairwise(edges):
            session.receive_pcm(before[2 * a : 2 * b])
            while not at_once and (jobs := session.jobs_to_run()):
                for job in jobs:
                    session.receive_result(answer(job))
        session.turn()
        session.configure(DecisionConfig(false_accept=0.001))
        session.claim(enrolled("berta"), True)
        return run(session, [after])

    whole = told([0, 32_000], at_once=True)
    pieces = told(sorted({0, 32_000, *cuts}), at_once=False)
    assert msgspec.to_builtins(pieces) == msgspec.to_builtins(whole)
    first, *rest = of(Utterance, whole)
    assert (first.speaker, first.state) == ("anna", "match")
    assert {utterance.speaker for utterance in rest} == {"berta"}


def test_after_a_reset_nothing_is_known_of_who_spoke() -> None:
    session = Session(SCORER, enrolled("anna"))
    before = run_open(session, pcm((0.2, 4.0)))
    assert of(Decision, before)[-1].state == "match"
    session.reset()
    events = run(session, [pcm((0.2, 1.0))])
    (lapse,) = of(Decision, events)
    assert (lapse.t, lapse.state) == (4.0, "insufficient")
    assert lapse.reason == "the speaker so far was forgotten"


@pytest.mark.parametrize("asks", ["turn", "reset", "mute"])
@pytest.mark.parametrize("at_s", [1.99, 2.0, 2.04, 2.08, 2.9, 2.95, 3.0, 3.03])
def test_what_is_asked_at_the_edge_of_speech_makes_no_turn_of_a_moment(
    asks: str, at_s: float
) -> None:
    """The button is pressed just as somebody begins, or has ended."""
    session, sound = Session(SCORER, enrolled("anna")), pcm((0.2, 2.0), (0.0, 1.0), (0.2, 2.0))
    cut = 2 * round(at_s * SAMPLE_RATE_HZ)
    session.receive_pcm(sound[:cut])
    getattr(session, asks)(*([True] if asks == "mute" else []))
    events = run(session, [sound[cut:] + pcm((0.0, 1.0))])
    turns = of(Utterance, events)
    assert len(turns) == (1 if asks == "mute" else 2)
    assert all(turn.speech_s > 1.9 for turn in turns)


@pytest.mark.parametrize("again", [1, 3])
def test_a_muted_loudspeaker_says_nothing_of_the_sound_of_the_next_turn(again: int) -> None:
    """The loudspeaker clips, and the person after it does not."""
    session = Session(SCORER, enrolled("anna"))
    for _ in range(again):
        session.mute(True)
        session.receive_pcm(pcm((1.0, 1.5), (0.0, 1.0)))
        session.mute(False)
        session.receive_pcm(pcm((0.2, 2.0), (0.0, 1.0)))
    events = run(session, [])
    assert [turn.problems for turn in of(Utterance, events)] == [()] * again
    assert "clipped" in of(Quality, events)[0].problems  # it is heard all the same


def test_what_is_muted_is_heard_and_never_judged() -> None:
    session = Session(SCORER, enrolled("anna"))
    session.receive_pcm(pcm((0.2, 3.0)))
    session.mute(True)
    session.receive_pcm(pcm((0.5, 6.0)))
    session.mute(False)
    events = run(session, [pcm((0.2, 3.0))])
    assert [(u.start, u.end, u.state) for u in of(Utterance, events)] == [
        (0.0, 3.0, "match"),
        (9.0, 12.0, "match"),
    ]
    assert not [e for e in of(Score, events) if 3.1 < e.t < 9.9]
    assert of(Change, events) == []
    assert of(Summary, events)[0].speech_s == pytest.approx(6.0)
    assert [e.speech for e in of(Vad, events)] == [True, False]
