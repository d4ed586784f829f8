"""The tracker: many speakers at once are scored as each alone, and states lapse."""

from __future__ import annotations

import numpy as np
import pytest
from fake_scorers import fake_scorer

from engine.decisions.change_detector import EmbeddedWindow
from engine.decisions.config import DecisionConfig
from engine.decisions.tracker import Tracker
from engine.decisions.tracker_settings import TrackerSettings
from engine.events import AnyEvent, Change, Decision, Score
from engine.model.manifest import Calibration
from engine.scoring.identify import EnrolledVoiceprints
from engine.scoring.scorer import PreparedEmbeddings
from engine.speech.windows import WindowPlace

SIZE = 16


def units(seed: int, count: int) -> np.ndarray:
    rows = np.random.default_rng(seed).standard_normal((count, SIZE)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


SCORER = fake_scorer(
    SIZE,
    Calibration(half_speech_s=1.0, slope=(1.0, 0.5), offset=(-2.0, -1.0, 0.0)),
    cohort=units(9, 40),
)
VOICES = units(1, 6)
ENROLLED = {
    name: SCORER.prepare(VOICES[rows], np.linspace(10, 20, len(rows)))
    for name, rows in {"carla": [0], "anna": [1, 2, 3], "berta": [4, 5]}.items()
}


def settings(voiceprints: dict[str, PreparedEmbeddings], *, claimed: bool) -> TrackerSettings:
    return TrackerSettings(EnrolledVoiceprints(voiceprints), claimed, DecisionConfig())


def embedded(embedding: np.ndarray, position_s: float, window_s: float = 3.0) -> EmbeddedWindow:
    position, samples = round(position_s * 16_000), round(window_s * 16_000)
    prepared = SCORER.prepare(embedding[None], window_s)
    start = position - samples
    place = WindowPlace(start, position, position, samples, ((0, 0),))
    return EmbeddedWindow(place, prepared, place.end)


def scores(window: EmbeddedWindow, asked: TrackerSettings) -> list[Score]:
    return [e for e in Tracker(SCORER, 0.5).add(window, asked) if isinstance(e, Score)]


@pytest.mark.parametrize("row", range(6))
def test_speakers_are_scored_together_as_each_alone(row: int) -> None:
    window = embedded(
        (VOICES[row] + 0.1 * VOICES[0]) / np.linalg.norm(VOICES[row] + 0.1 * VOICES[0]), 5
    )
    together = scores(window, settings(ENROLLED, claimed=True))
    assert [s.speaker for s in together] == ["anna", "berta", "carla"]
    for score in together:
        (alone,) = scores(window, settings({score.speaker: ENROLLED[score.speaker]}, claimed=True))
        assert score.llr == pytest.approx(alone.llr, abs=1e-6)
        assert score.norm == pytest.approx(alone.norm, abs=1e-6)
        nearest = (ENROLLED[score.speaker].embeddings @ window.prepared.embeddings[0]).max()
        assert score.cosine == pytest.approx(nearest, abs=1e-6)
    (best,) = scores(window, settings(ENROLLED, claimed=False))
    ranked = sorted(together, key=lambda s: -s.llr)
    assert (best.speaker, best.runner_up) == (ranked[0].speaker, ranked[1].speaker)


def test_a_lapse_is_told_once_and_only_of_something_known() -> None:
    tracker, asked = Tracker(SCORER, 0.5), settings({"carla": ENROLLED["carla"]}, claimed=True)
    assert tracker.lapse(1.0, 0.0, "why", asked) == []
    tracker.add(embedded(VOICES[0], 3.0), asked)
    (lapsed,) = tracker.lapse(40.0, 3.0, "why", asked)
    assert isinstance(lapsed, Decision)
    assert (lapsed.state, lapsed.speaker, lapsed.reason) == ("insufficient", "carla", "why")
    assert tracker.lapse(50.0, 3.0, "why", asked) == []


def test_who_was_identified_is_not_named_after_a_lapse() -> None:
    tracker, asked = Tracker(SCORER, 0.5), settings(ENROLLED, claimed=False)
    told = tracker.add(embedded(VOICES[0], 3.0), asked)
    assert [e.speaker for e in told if isinstance(e, Decision)] == ["carla"]
    (lapsed,) = tracker.lapse(40.0, 3.0, "why", asked)
    assert isinstance(lapsed, Decision)
    assert lapsed.speaker is None


def test_match_counts_from_one_score_to_the_next() -> None:
    tracker, asked = Tracker(SCORER, 0.5), settings({"carla": ENROLLED["carla"]}, claimed=True)
    tracker.add(embedded(VOICES[0], 3.0), asked)
    tracker.add(embedded(VOICES[0], 3.5), asked)
    tracker.lapse(40.0, 3.5, "why", asked)
    tracker.add(embedded(VOICES[0], 5.0, 1.5), asked)
    tracker.add(embedded(VOICES[0], 5.5, 2.0), asked)
    assert tracker.match_s == pytest.approx(1.0)


def test_a_change_names_who_was_there_before() -> None:
    tracker, asked = Tracker(SCORER, 0.5), settings({"carla": ENROLLED["carla"]}, claimed=True)
    tracker.add(embedded(VOICES[0], 3.0), asked)
    changes = [e for e in tracker.add(embedded(-VOICES[0], 6.0), asked) if isinstance(e, Change)]
    assert [(c.from_speaker, c.at) for c in changes] == [("carla", 3.0)]


PLAIN = fake_scorer(
    SIZE, Calibration(half_speech_s=1.0, slope=(12.0, 0.0), offset=(-6.0, 0.0, 0.0))
)
AXES = np.eye(SIZE, dtype=np.float32)
ASKED = DecisionConfig()


def talk(
    *turns: tuple[int, float], start_s: float = 0.0, hop_s: float = 0.5
) -> list[EmbeddedWindow]:
    """Windows of 3 s over turns of (voice, seconds), one voice straight after the other."""
    edges = np.cumsum([0.0, *(length for _, length in turns)])
    found = []
    for end_s in np.arange(hop_s, edges[-1] + 0.01, hop_s):
        window_s = min(3.0, float(end_s))
        if end_s < 1.0:
            continue
        heard = np.zeros(SIZE, np.float32)
        for (speaker, _), a, b in zip(turns, edges, edges[1:], strict=False):
            heard += AXES[speaker] * max(0.0, min(b, end_s) - max(a, end_s - window_s))
        prepared = PLAIN.prepare(heard[None] / np.linalg.norm(heard), window_s)
        position, samples = round(end_s * 16_000), round(window_s * 16_000)
        start = round(start_s * 16_000)
        runs = ((0, start),)
        place = start + position - samples, start + position, position, samples
        found.append(EmbeddedWindow(WindowPlace(*place, runs), prepared, place[1]))
    return found


def plain_settings(
    *names: str, claimed: bool = True, decisions: DecisionConfig | None = None
) -> TrackerSettings:
    prints = {name: PLAIN.prepare(AXES[[i]], 10.0) for i, name in enumerate(("anna", "bert"))}
    voices = EnrolledVoiceprints({name: prints[name] for name in names})
    return TrackerSettings(voices, claimed, decisions or DecisionConfig())


def told(tracker: Tracker, windows: list[EmbeddedWindow], asked: TrackerSettings) -> list[AnyEvent]:
    return [event for window in windows for event in tracker.add(window, asked)]


def decisions(events: list[AnyEvent]) -> list[Decision]:
    return [event for event in events if isinstance(event, Decision)]


def test_a_takeover_is_a_mismatch_from_when_it_happened() -> None:
    events = told(Tracker(PLAIN, 0.5), talk((0, 12.0), (2, 8.0)), plain_settings("anna"))
    (change,) = (event for event in events if isinstance(event, Change))
    assert change.at == pytest.approx(12.0, abs=0.3)
    assert change.detected_at <= 16.0
    assert (change.from_speaker, change.to_speaker) == ("anna", "voice-2")
    found = decisions(events)
    assert [(d.state, d.speaker) for d in found] == [
        ("insufficient", "anna"),
        ("match", "anna"),
        ("mismatch", "anna"),
    ]
    assert found[-1].t == change.detected_at
    assert found[-1].since == change.at
    assert found[-1].reason.startswith("another voice since 12.")
    assert [d.voice for d in found] == ["voice-1", "voice-1", "voice-2"]


def test_decisions_and_scores_carry_the_evidence_and_its_bounds() -> None:
    events = told(Tracker(PLAIN, 0.5), talk((0, 6.0)), plain_settings("anna"))
    config = DecisionConfig()
    for decision in decisions(events):
        assert (decision.accept_llr, decision.reject_llr) == (config.accept_llr, config.reject_llr)
        assert decision.evidence == pytest.approx(6.0)
    assert all(s.evidence == pytest.approx(6.0) for s in events if isinstance(s, Score))


def test_two_enrolled_with_like_voices_are_named_as_the_reason_for_doubt() -> None:
    both = {name: PLAIN.prepare(AXES[:1], 10.0) for name in ("anna", "bert")}
    last = decisions(
        told(
            Tracker(PLAIN, 0.5),
            talk((0, 6.0)),
            TrackerSettings(EnrolledVoiceprints(both), False, ASKED),
        )
    )[-1]
    assert last.state == "uncertain"
    assert last.reason.startswith("anna and bert have like voices: evidence ")
    alone = {"anna": both["anna"]}
    sure = decisions(
        told(
            Tracker(PLAIN, 0.5),
            talk((0, 6.0)),
            TrackerSettings(EnrolledVoiceprints(alone), False, ASKED),
        )
    )
    assert sure[-1].state == "match"
    assert "like voices" not in "".join(one.reason for one in sure)


def test_evidence_is_of_the_whole_run_and_not_of_one_window() -> None:
    one_off = talk((0, 9.0))
    strange = (AXES[0] + AXES[1]) / np.float32(np.sqrt(2))  # one window sounds of two
    last = one_off[-1]
    prepared = PLAIN.prepare(strange[None], 3.0)
    one_off[-1] = EmbeddedWindow(last.place, prepared, last.at)
    score = [e for e in told(Tracker(PLAIN, 0.5), one_off, plain_settings("anna")) if e.t == 9.0][
        -1
    ]
    assert isinstance(score, Score)
    assert score.llr == pytest.approx(12 / np.sqrt(2) - 6, abs=1e-5)
    assert score.evidence is not None
    assert score.evidence > 5.9


def test_a_match_holds_while_its_evidence_wavers_between_the_bounds() -> None:
    tracker = Tracker(PLAIN, 0.5)
    told(tracker, talk((0, 5.0)), plain_settings("anna"))
    doubtful = (0.75 * AXES[0] + np.float32(np.sqrt(1 - 0.75**2)) * AXES[5]).astype(np.float32)
    windows = [
        EmbeddedWindow(w.place, PLAIN.prepare(doubtful[None], 3.0), w.at)
        for w in talk((0, 40.0))[9:]
    ]
    events = told(tracker, windows, plain_settings("anna"))
    last = [e for e in events if isinstance(e, Score)][-1]
    assert last.evidence is not None
    assert DecisionConfig().reject_llr < last.evidence < DecisionConfig().accept_llr
    assert decisions(events) == []


def test_a_voice_that_comes_back_has_its_label_and_its_name() -> None:
    turns = talk((0, 12.0), (2, 10.0), (0, 10.0), (3, 10.0))
    events = told(Tracker(PLAIN, 0.5), turns, plain_settings("anna", "bert", claimed=False))
    changes = [e for e in events if isinstance(e, Change)]
    assert [(c.from_speaker, c.to_speaker) for c in changes] == [
        ("anna", "voice-2"),
        ("voice-2", "anna"),
        ("anna", "voice-3"),
    ]
    for change, at in zip(changes, (12.0, 22.0, 32.0), strict=True):
        assert change.at == pytest.approx(at, abs=0.3)
    states = [(d.state, d.speaker) for d in decisions(events)]
    assert states == [
        ("insufficient", None),
        ("match", "anna"),
        ("unknown", None),
        ("match", "anna"),
        ("unknown", None),
    ]


def test_without_anybody_enrolled_voices_have_labels() -> None:
    events = told(Tracker(PLAIN, 0.5), talk((0, 10.0), (1, 10.0)), plain_settings())
    assert [(e.from_speaker, e.to_speaker) for e in events if isinstance(e, Change)] == [
        ("voice-1", "voice-2")
    ]


def test_after_a_silence_that_forgets_the_run_begins_anew_and_the_voice_is_known_again() -> None:
    tracker, asked = Tracker(PLAIN, 0.5), plain_settings("anna")
    told(tracker, talk((0, 10.0)), asked)
    tracker.lapse(40.0, 10.0, "no speech", asked, forget=True)
    (window,) = talk((2, 1.0), start_s=60.0)
    (score,) = tracker.add(window, asked)
    assert isinstance(score, Score)
    assert score.evidence == pytest.approx(-6.0)  # of the second since, and not of anna's ten
    later = [e for e in told(tracker, talk((2, 3.0), start_s=60.0)[1:], asked)]
    assert [d.voice for d in decisions(later)] == ["voice-2"]


def test_silence_ages_the_evidence() -> None:
    def after(silence_s: float) -> float:
        tracker, asked = Tracker(PLAIN, 0.5, forget_s=30.0), plain_settings("anna")
        told(tracker, talk((0, 8.0)), asked)
        later = talk((0, 8.0), (5, 1.0), start_s=silence_s)[15:]
        score = [e for e in told(tracker, later, asked) if isinstance(e, Score)][-1]
        assert score.evidence is not None
        return score.evidence

    straight, short, long = after(0.0), after(10.0), after(25.0)
    assert straight > short > long
