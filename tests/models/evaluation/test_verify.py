"""The decision and what it rests on, with a real graph and synthetic voices."""

from __future__ import annotations

import dataclasses
import functools
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import soundfile as sf
from numpy.typing import NDArray

from engine.audio.files import read_audio
from engine.decisions.config import DecisionConfig
from engine.errors import AudioError, BundleError, VoxwatchError
from engine.format import SAMPLE_RATE_HZ
from engine.model.bundle import Bundle, load_bundle, write_bundle
from engine.model.encoder import Encoder, hear_speech
from engine.model.manifest import DecisionFigures, MagnitudeFigures
from engine.scoring.scorer import CalibratedScorer, TrialScore
from engine.scoring.worth import UNKNOWN
from engine.speech.offline import net_speech
from engine.speech.vad import SileroVad
from models.evaluation.verification import Rule, Verification, as_text
from models.evaluation.verify import Verifier

Float32 = NDArray[np.float32]
Speak = Callable[..., Path]
DEMO_VOICES = Path(__file__).parents[3] / "scripts" / "demo_voices"


@pytest.fixture
def speak(speak: Speak) -> Speak:
    """With quiet around the voice, as in any recording: noise is measured there."""
    return functools.partial(speak, quiet_s=0.5)


@pytest.fixture(scope="module")
def verifier(spectral_bundle: Bundle) -> Verifier:
    return Verifier(spectral_bundle)


def test_one_voice_matches_and_two_do_not(verifier: Verifier, speak: Speak) -> None:
    enroll = [speak("a0.wav", "anna", seed=0), speak("a1.wav", "anna", seed=4)]
    same = verifier.verify(enroll, speak("a2.wav", "anna", seed=2), Rule())
    other = verifier.verify(enroll, speak("b.wav", "bert", seed=2), Rule())
    assert same.decision == "match"
    assert other.decision == "mismatch"
    assert same.posterior > 0.95 > 0.05 > other.posterior
    assert same.llr > 0 > other.llr
    assert same.provider == "cpu"
    assert len(same.enroll) == 2
    assert same.enroll_speech_s == pytest.approx(sum(r.net_speech_s for r in same.enroll))
    assert 0 < same.test.net_speech_s <= same.test.duration_s == pytest.approx(8)


def test_a_test_counts_for_what_it_is_worth(heard_bundle: Bundle, speak: Speak) -> None:
    files = [speak("a0.wav", "anna", seed=0)], speak("a1.wav", "anna", seed=4)
    verifier, scorer = Verifier(heard_bundle), CalibratedScorer(heard_bundle)
    enrol, test = (
        net_speech(read_audio(path).waveform, SileroVad()) for path in (*files[0], files[1])
    )
    heard = [hear_speech(Encoder(heard_bundle, "cpu"), one) for one in (enrol, test)]
    result = verifier.verify(*files, Rule())
    seconds = [recording.net_speech_s for recording in (*result.enroll, result.test)]
    deaf, expected = (
        scorer.score(heard[0][0], seconds[0], heard[1][0], seconds[1], db).llr
        for db in (UNKNOWN, heard[1][1])
    )
    assert abs(deaf - expected) > 3
    assert result.llr == pytest.approx(expected, abs=0.5)


def test_magnitudes_count_of_long_tests_and_of_their_parts_too(
    heard_bundle: Bundle, speak: Speak, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The embeddings of both are means of those of windows."""
    known = heard_bundle.manifest
    assert known.calibration is not None
    figures = MagnitudeFigures(usual=2.5, slope=-0.1, weight=5.0)
    calibration = msgspec.structs.replace(known.calibration, magnitude=figures)
    manifest = msgspec.structs.replace(known, calibration=calibration)
    verifier = Verifier(dataclasses.replace(heard_bundle, manifest=manifest))
    told, compare = [], verifier._compare

    def noted(made: Any, probe: Any, speech_s: float, heard: Float32) -> TrialScore:
        told.append(heard)
        return compare(made, probe, speech_s, heard)

    monkeypatch.setattr(verifier, "_compare", noted)
    enrolled, test = speak("a0.wav", "anna", 8.0), speak("a1.wav", "anna", 30.0, seed=1)
    result = verifier.verify([enrolled], test, Rule(prior=1 - 1e-9, miss=1e-9))
    assert result.test.net_speech_s > known.max_window_s
    assert len(told) == 3  # all of it, and the two sets of parts that are least alike
    assert np.all(np.isfinite(told))


@pytest.mark.parametrize(
    ("evidence", "decision"),
    [
        (50.0, "match"),
        (4.5, "match"),  # log(0.9 / 0.01) is 4.4998
        (4.499, "uncertain"),
        (-2.29, "uncertain"),
        (-2.293, "mismatch"),  # log(0.1 / 0.99) is -2.2925
        (-50.0, "mismatch"),
    ],
)
def test_the_bounds_are_those_of_live_decisions(evidence: float, decision: str) -> None:
    rule, live = Rule(false_accept=0.01, miss=0.1), DecisionConfig(false_accept=0.01, miss=0.1)
    assert rule.bounds == (live.accept_llr, live.reject_llr)
    assert rule.decide(evidence) == decision


def test_a_prior_moves_the_bounds_by_its_odds() -> None:
    even, seldom = Rule(), Rule(prior=0.1)
    moved = [bound + np.log(9) for bound in even.bounds]
    assert seldom.bounds == pytest.approx(moved)
    assert "match from evidence +5.14 up, mismatch from -0.75 down" in str(seldom)


def test_the_figures_of_the_bundle_decide_as_they_do_live(
    spectral_bundle: Bundle, speak: Speak
) -> None:
    """A ratio that its own rate would leave undecided is a match where strangers never reach it."""
    known = spectral_bundle.manifest
    assert known.calibration is not None
    files = [speak("a0.wav", "anna", seed=0)], speak("a1.wav", "anna", seed=4)
    plain = Verifier(spectral_bundle).verify(*files, Rule())
    bound = plain.llr + 1
    rule = Rule(false_accept=0.95 / math.exp(bound), miss=0.05)
    assert rule.decide(plain.llr) == "uncertain"
    found = {}
    for offset in (0.0, 2.0):
        figures = DecisionFigures(slope=1.0, offset=offset)
        calibration = msgspec.structs.replace(known.calibration, evidence=figures)
        manifest = msgspec.structs.replace(known, calibration=calibration)
        bundle = dataclasses.replace(spectral_bundle, manifest=manifest)
        found[offset] = Verifier(bundle).verify(*files, rule)
        assert found[offset].evidence == pytest.approx(plain.llr + offset)
    assert [one.decision for one in found.values()] == ["uncertain", "match"]
    assert {one.llr for one in found.values()} == {plain.llr}


def test_the_prior_moves_the_posterior_and_not_the_ratio(verifier: Verifier, speak: Speak) -> None:
    files = [speak("a0.wav", "anna", seed=0)], speak("a1.wav", "anna", seed=4)
    even, doubtful = (verifier.verify(*files, Rule(prior=p)) for p in (0.5, 0.001))
    assert doubtful.llr == even.llr
    odds = [np.log(r.posterior / (1 - r.posterior)) for r in (even, doubtful)]
    assert odds[0] == pytest.approx(even.llr)
    assert odds[1] == pytest.approx(even.llr + np.log(0.001 / 0.999))


@pytest.mark.parametrize("bad", [0.0, 1.0, -0.1, 2.0, float("nan")])
@pytest.mark.parametrize("field", ["prior", "false_accept", "miss"])
def test_rates_outside_0_to_1_are_refused_by_the_name_of_their_option(
    field: str, bad: float
) -> None:
    with pytest.raises(VoxwatchError, match=f"--{field.replace('_', '-')} must lie between"):
        Rule(**{field: bad})


def test_thresholds_that_would_cross_are_refused() -> None:
    with pytest.raises(VoxwatchError, match="add up to more than 1"):
        Rule(false_accept=0.6, miss=0.5)


def test_a_short_test_is_insufficient_and_scores_nothing(verifier: Verifier, speak: Speak) -> None:
    test = speak("short.wav", "anna", 0.3)
    result = verifier.verify([speak("a.wav", "anna")], test, Rule())
    assert result.decision == "insufficient"
    assert result.cosine is result.norm is result.llr is result.posterior is None
    assert result.evidence is None
    assert str(test) in result.reason
    assert "0.5 s" in result.reason


def test_seconds_without_speech_do_not_count(verifier: Verifier, speak: Speak) -> None:
    hiss = np.random.default_rng(0).normal(0, 0.01, 10 * SAMPLE_RATE_HZ)
    enroll = speak("a.wav", "anna")
    test = enroll.with_name("hiss.wav")
    sf.write(test, hiss, SAMPLE_RATE_HZ)
    result = verifier.verify([enroll], test, Rule())
    assert result.decision == "insufficient"
    assert result.test.net_speech_s == 0
    assert result.test.duration_s == pytest.approx(10)
    with pytest.raises(AudioError, match=r"hiss\.wav: no speech was heard"):
        verifier.verify([test], enroll, Rule(), allow_poor=True)


def test_a_little_speech_enrols_only_on_request(verifier: Verifier, speak: Speak) -> None:
    enroll, test = [speak("a0.wav", "anna", 2.0)], speak("a1.wav", "anna", seed=4)
    with pytest.raises(AudioError, match="--allow-poor"):
        verifier.verify(enroll, test, Rule())
    poor = verifier.verify(enroll, test, Rule(), allow_poor=True)
    assert poor.posterior is not None


def test_a_clipped_recording_counts_only_on_request(
    verifier: Verifier, speak: Speak, voice: Callable[..., Float32]
) -> None:
    enroll = speak("a0.wav", "anna")
    test = enroll.with_name("clipped.wav")
    sf.write(test, np.clip(6 * voice("anna", 7, seed=4), -1, 1), SAMPLE_RATE_HZ)
    for pair in (([enroll], test), ([test], enroll)):
        with pytest.raises(AudioError, match=r"clipped\.wav: .*cut flat.*--allow-poor"):
            verifier.verify(*pair, Rule())
        assert verifier.verify(*pair, Rule(), allow_poor=True).posterior is not None


def test_a_bundle_without_calibration_is_refused(spectral_bundle: Bundle, tmp_path: Path) -> None:
    manifest = msgspec.structs.replace(spectral_bundle.manifest, calibration=None)
    bundle = write_bundle(tmp_path / "raw", manifest, spectral_bundle.model_files())
    with pytest.raises(BundleError, match="voxwatch calibrate"):
        Verifier(bundle)


def test_a_voiceprint_leans_on_the_longer_recording(verifier: Verifier, speak: Speak) -> None:
    long, short = speak("a.wav", "anna", 10.0), speak("b.wav", "bert", 3.0)
    test = speak("a2.wav", "anna", seed=2)
    mixed = verifier.verify([long, short], test, Rule(), allow_poor=True)
    pure = verifier.verify([long], test, Rule(), allow_poor=True)
    wrong = verifier.verify([short], test, Rule(), allow_poor=True)
    assert wrong.cosine < (wrong.cosine + pure.cosine) / 2 < mixed.cosine < pure.cosine


def test_two_people_enrol_as_one_only_on_request(verifier: Verifier, speak: Speak) -> None:
    anna, bert = speak("a0.wav", "anna", seed=0), speak("b0.wav", "bert", seed=0)
    test = speak("a2.wav", "anna", seed=2)
    again, other = speak("a1.wav", "anna", seed=4), speak("b1.wav", "bert", seed=1)
    with pytest.raises(
        AudioError, match=r"b0\.wav: another voice than in .*a0\.wav: .*--allow-poor"
    ):
        verifier.verify([anna, bert], test, Rule())
    with pytest.raises(AudioError, match=r"b0\.wav: another voice than in .*a0\.wav, .*a1\.wav:"):
        verifier.verify([anna, bert, again], test, Rule())
    # Two of either: each has somebody like it.
    with pytest.raises(AudioError, match=r"b0\.wav, .*b1\.wav: another voice"):
        verifier.verify([anna, bert, other, again], test, Rule())
    assert verifier.verify([anna, bert], test, Rule(), allow_poor=True).llr is not None


@pytest.mark.parametrize("prior", [1e-6, 1 - 1e-6])
def test_who_enrols_is_judged_without_the_prior_of_the_test(
    verifier: Verifier, speak: Speak, prior: float
) -> None:
    enroll = [speak("a0.wav", "anna", seed=0), speak("a1.wav", "anna", seed=4)]
    test, bert = speak("a2.wav", "anna", seed=2), speak("b0.wav", "bert", seed=0)
    assert verifier.verify(enroll, test, Rule(prior=prior)).llr is not None
    with pytest.raises(AudioError, match=r"b0\.wav: another voice"):
        verifier.verify([*enroll, bert], test, Rule(prior=prior))


def test_a_recording_enrols_once(verifier: Verifier, speak: Speak, tmp_path: Path) -> None:
    first = speak("a0.wav", "anna", seed=0)
    copy = tmp_path / "copy.wav"
    copy.write_bytes(first.read_bytes())
    test = speak("a1.wav", "anna", seed=4)
    with pytest.raises(AudioError, match=r"copy\.wav: the same recording as .*a0\.wav"):
        verifier.verify([first, test, copy], test, Rule(), allow_poor=True)


def test_the_text_says_all_that_the_decision_rests_on(verifier: Verifier, speak: Speak) -> None:
    result = verifier.verify([speak("a.wav", "anna")], speak("a1.wav", "anna", seed=4), Rule())
    text = as_text(result)
    assert f"evidence    {result.evidence:+.2f}" in text
    for said in ("match", "posterior", "prior of 0.5", "LLR", "cosine", "spectral 1 on cpu"):
        assert said in text
    assert f"test {result.test.net_speech_s:.1f} s" in text
    assert "in 1 recording," in text


def test_json_reads_back_as_the_same_result(verifier: Verifier, speak: Speak) -> None:
    result = verifier.verify([speak("a.wav", "anna")], speak("b.wav", "bert"), Rule())
    assert msgspec.json.decode(msgspec.json.encode(result), type=Verification) == result


def test_a_name_that_is_no_text_is_told_as_json(
    verifier: Verifier, speak: Speak, tmp_path: Path
) -> None:
    path = tmp_path / os.fsdecode(b"anna\xff.wav")
    path.write_bytes(speak("a.wav", "anna").read_bytes())
    result = verifier.verify([path], speak("a1.wav", "anna", seed=4), Rule())
    assert "anna?.wav" in msgspec.json.encode(result).decode()


def test_the_built_in_bundle_tells_the_demo_voices_apart(tmp_path: Path) -> None:
    verifier = Verifier(load_bundle())
    anna, rate_hz = sf.read(DEMO_VOICES / "anna.ogg", dtype="float32")
    half = len(anna) // 2
    first, second = tmp_path / "first.wav", tmp_path / "second.wav"
    sf.write(first, anna[:half], rate_hz)
    sf.write(second, anna[half:], rate_hz)
    assert verifier.verify([first], second, Rule()).decision == "match"
    assert verifier.verify([first], DEMO_VOICES / "ben.ogg", Rule()).decision == "mismatch"


def demo_voice(name: str, start_s: float, end_s: float) -> tuple[Float32, int]:
    sound, rate_hz = sf.read(DEMO_VOICES / f"{name}.ogg", dtype="float32")
    return sound[round(start_s * rate_hz) : round(end_s * rate_hz)], rate_hz


def test_parts_of_a_test_in_doubt_are_decided_by_their_evidence(
    spectral_bundle: Bundle, speak: Speak, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = spectral_bundle.manifest
    assert known.calibration is not None
    figures = DecisionFigures(slope=1.0, offset=2.0)
    calibration = msgspec.structs.replace(known.calibration, evidence=figures)
    manifest = msgspec.structs.replace(known, calibration=calibration)
    verifier = Verifier(dataclasses.replace(spectral_bundle, manifest=manifest))
    told = iter([0.5, 1.0, -4.0])  # of the whole, and of the two sets of parts
    monkeypatch.setattr(verifier, "_compare", lambda *_: TrialScore(0.5, 0.5, next(told)))
    result = verifier.verify([speak("a0.wav", "anna")], speak("a1.wav", "anna", seed=1), Rule())
    assert result.evidence == 2.5
    assert result.decision == "uncertain"
    assert "another voice is in a part of it" in str(result.reason)


@pytest.mark.parametrize(("part", "decision"), [(-1.9, "match"), (-2.1, "uncertain")])
def test_a_part_of_a_match_is_another_voice_by_a_ratio_that_no_rate_moves(
    verifier: Verifier, speak: Speak, monkeypatch: pytest.MonkeyPatch, part: float, decision: str
) -> None:
    files = [speak("a0.wav", "anna")], speak("a1.wav", "anna", seed=1)
    for rule in (Rule(), Rule(false_accept=0.5, miss=0.01), Rule(miss=0.4)):
        told = iter([9.0, 9.0, part])
        monkeypatch.setattr(verifier, "_compare", lambda *_, t=told: TrialScore(0.5, 0.5, next(t)))
        assert verifier.verify(*files, rule).decision == decision


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_another_voice_in_a_part_of_the_test_is_no_match(
    tmp_path: Path, order: tuple[int, int]
) -> None:
    first, rate_hz = demo_voice("anna", 0, 12)
    own, other = demo_voice("anna", 12, 24)[0], demo_voice("ben", 2, 8)[0]
    enrolled, alone, joined = (tmp_path / f"{n}.wav" for n in ("enrolled", "alone", "joined"))
    sf.write(enrolled, first, rate_hz)
    sf.write(alone, own, rate_hz)
    sf.write(joined, np.concatenate([(own, other)[place] for place in order]), rate_hz)
    verifier = Verifier(load_bundle())
    assert verifier.verify([enrolled], alone, Rule()).decision == "match"
    result = verifier.verify([enrolled], joined, Rule())
    assert result.decision in ("uncertain", "mismatch")
    # However much is tolerated: what tells it is the part, and not the whole.
    lenient = verifier.verify([enrolled], joined, Rule(prior=0.99, false_accept=0.5, miss=0.01))
    assert lenient.posterior > 0.5
    assert lenient.decision == "uncertain"
    assert "another voice is in a part of it" in str(lenient.reason)
    # And where the whole is in doubt by itself, which of one voice is told without that reason.
    half = np.concatenate([demo_voice("anna", 12, 17)[0], demo_voice("ben", 2, 14)[0]])
    sf.write(joined, half, rate_hz)
    doubting = Rule(false_accept=0.01)
    doubted = verifier.verify([enrolled], joined, doubting)
    assert (doubted.decision, doubting.decide(doubted.evidence)) == ("uncertain", "uncertain")
    assert "another voice is in a part of it" in str(doubted.reason)
    strict = verifier.verify([enrolled], alone, Rule(false_accept=1e-9))
    assert (strict.decision, strict.reason) == ("uncertain", None)


def test_several_sentences_of_one_voice_are_a_match(verifier: Verifier, speak: Speak) -> None:
    parts = [sf.read(speak(f"{n}.wav", "anna", 3.0, seed=n))[0] for n in range(5)]
    sf.write(joined := speak("joined.wav", "anna"), np.concatenate(parts), SAMPLE_RATE_HZ)
    result = verifier.verify(
        [speak("a0.wav", "anna", seed=0), speak("a4.wav", "anna", seed=4)], joined, Rule()
    )
    assert (result.decision, result.reason) == ("match", None)
