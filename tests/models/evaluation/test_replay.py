import numpy as np
import pytest
from loudness import Loudness

from models.evaluation import replay
from models.evaluation.replay import KINDS, Case, choose, copy_synthesis, evidence_by_kind
from models.evaluation.trials import Trial, TrialList


def file(speaker, number):
    return f"{speaker}/{number}.wav"


@pytest.fixture
def trials(tmp_path):
    own = [
        Trial(True, file(speaker, i), file(speaker, j))
        for speaker in "abc"
        for i in range(4)
        for j in range(4)
        if i != j
    ]
    return TrialList("a", tmp_path, (*own, Trial(False, file("a", 0), file("b", 0))))


def test_cases_have_each_enrolment_once_and_a_stranger_who_is_somebody_else(trials):
    usable = {file(s, i) for s in "abc" for i in range(4)} - {file("b", 3)}
    cases = choose(trials, usable, per_speaker=3, seed=1)
    assert cases == choose(trials, usable, per_speaker=3, seed=1) != choose(trials, usable, 3, 2)
    enrolled = [case.enrol for case in cases]
    assert sorted(name[0] for name in enrolled) == list("aaabbbccc")
    assert len(set(enrolled)) == 9
    for case in cases:
        assert case.test[0] == case.enrol[0] != case.stranger[0]
        assert case.test != case.enrol
        assert {case.enrol, case.test, case.stranger} <= usable


def test_copy_synthesis_keeps_the_spectrum_and_not_the_wave(voice):
    speech = voice("bert", 2.0)
    built = copy_synthesis(speech)
    assert np.array_equal(built, copy_synthesis(speech))
    assert abs(len(built) - len(speech)) <= replay.HOP
    n = min(len(built), len(speech))
    spectra = [np.abs(np.fft.rfft(one[:n]))[: n // 8].reshape(-1) for one in (built, speech)]
    bands = [np.add.reduceat(one**2, np.arange(0, len(one), 200)) for one in spectra]
    assert np.corrcoef(np.log(bands[0]), np.log(bands[1]))[0, 1] > 0.9
    assert abs(np.corrcoef(built[:n], speech[:n])[0, 1]) < 0.5


class Identity:
    def evidence(self, llr):
        return llr


def test_every_kind_is_compared_with_the_enrolment(trials, monkeypatch):
    loud = dict(zip(KINDS, (0.5, 0.5, 0.4, 0.5, 0.5, 0.1), strict=True))
    heard = {kind: np.full(3200, peak, np.float32) for kind, peak in loud.items()}
    heard["copy"] = np.zeros(100, np.float32)  # no speech to speak of
    monkeypatch.setattr(replay, "sounds", lambda *_: heard)
    monkeypatch.setattr(replay, "_speech", lambda sound, _: sound)
    cases = [Case("a/0", "a/1", "b/0"), Case("b/0", "b/1", "a/0")]
    found = evidence_by_kind(trials, cases, Loudness(), Identity(), None, 0)
    shares = {
        row.kind: row.accepted
        for row in replay.replay_rates("a", cases, found, resamples=20, seed=0)
        if row.stated_false_accept == 0.01
    }
    accepted = [kind for kind, share in shares.items() if share.value == 1]
    assert accepted == ["genuine", "digital", "recorded"]
    assert {shares[kind].value for kind in ("loudspeaker", "copy", "stranger")} == {0}


def test_what_always_or_never_happened_is_not_sure():
    cases = [
        Case(f"{s}/{i}", f"{s}/9", "c/0" if s != "c" else "a/0") for s in "abc" for i in range(4)
    ]
    found = {"genuine": np.full(12, 50.0), "stranger": np.full(12, -50.0)}
    found["copy"] = np.array([50.0] * 4 + [-50.0] * 8)
    rows = {
        row.kind: row
        for row in replay.replay_rates("a", cases, found, resamples=200, seed=0)
        if row.stated_false_accept == 0.05
    }
    always, never, some = (rows[kind].accepted for kind in ("genuine", "stranger", "copy"))
    assert (always.value, always.low, always.high) == (1, 0.75, 1)
    assert (never.value, never.low, never.high) == (0, 0, 0.25)
    assert some.value == pytest.approx(1 / 3)
    assert some.low < some.value < some.high
    assert (rows["copy"].trials, rows["copy"].speakers) == (12, 3)
