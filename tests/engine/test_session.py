"""The session: same sound, same events, whatever the chunking and the order of results."""

from __future__ import annotations

from itertools import pairwise

import msgspec
import numpy as np
import pytest
from fake_voices import (
    ALARMED,
    SCORER,
    SOUND,
    VOICES,
    answer,
    enrolled,
    of,
    pcm,
    run,
    run_open,
    voice,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.audio.pcm import PcmDecoder
from engine.audio.quality import PeakMeter
from engine.decisions.change_places import LAPSE_S
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
from engine.jobs import EmbedJob, EmbedResult, Job, JobFailure, Result, VadJob
from engine.session import Session
from engine.spans.windows import WindowSpans


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


def test_quality_comes_every_two_seconds_and_tells_speech_from_noise() -> None:
    noise = np.random.default_rng(0).choice([-328, 328], 48_000).astype("<i2").tobytes()
    found = of(Quality, run(Session(SCORER, {}), [noise + pcm((0.2, 3.0))]))
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
