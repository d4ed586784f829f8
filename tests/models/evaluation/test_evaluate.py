import json
import math

import numpy as np
import pytest
import soundfile as sf
from typer.testing import CliRunner

from engine.errors import VoxwatchError
from engine.model.bundle import BundleError
from engine.model.manifest import HEARD
from engine.scoring.scorer import CalibratedScorer, CalibratedScores
from models.cli import app
from models.evaluation import evaluate as evaluation
from models.evaluation.bundle_system import BundleSystem
from models.evaluation.embeddings import FULL, Cuts
from models.evaluation.evaluate import EvaluationError
from models.evaluation.report import as_markdown
from models.evaluation.trials import trials_of_folder
from models.sound.conditions import Degradation

RATE_HZ = 16000
BANDS = 32
PITCHES_HZ = {"ada": 110, "ben": 150, "cid": 200, "dot": 265}


class Spectrum:
    """A system whose embedding is a waveform's spectrum in bands."""

    name = "spectrum"
    min_speech_s = 0.25

    def embed(self, waveforms):
        assert waveforms.dtype == np.float32
        power = np.abs(np.fft.rfft(waveforms, axis=1)) ** 2
        edges = np.linspace(80, 1600, BANDS + 1) * waveforms.shape[1] / RATE_HZ
        starts = np.floor(edges).astype(int)
        bands = np.add.reduceat(power, starts, axis=1)[:, :BANDS]
        level = np.sqrt(bands)
        return (level / np.linalg.norm(level, axis=1, keepdims=True)).astype(np.float32)

    def score(self, enrol, enrol_s, test, test_s, pairs):
        assert enrol_s.shape == enrol.shape[:1]
        assert test_s.shape == test.shape[:1]
        cosine = (enrol[pairs[:, 0]] * test[pairs[:, 1]]).sum(axis=1).astype(np.float64)
        return CalibratedScores(cosine, cosine, 20 * (cosine - 0.7))


def tone_of(pitch_hz, seconds, seed):
    """A buzz between half-second silences, so that something is left to cut out."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    buzz = sum(np.sin(2 * np.pi * k * pitch_hz * t + rng.uniform(0, 6)) / k for k in range(1, 6))
    silence = np.zeros(RATE_HZ // 2)
    sound = np.concatenate([silence, 0.2 * buzz + 0.01 * rng.standard_normal(len(t)), silence])
    return sound.astype(np.float32)


@pytest.fixture
def voices(tmp_path, loudness_vad):
    """Four voices with three recordings of 1.5, 2.5 and 3.5 s of net speech."""
    for name, pitch_hz in PITCHES_HZ.items():
        (tmp_path / "voices" / name).mkdir(parents=True)
        for i, seconds in enumerate((1.5, 2.5, 3.5)):
            sound = tone_of(pitch_hz, seconds, seed=pitch_hz + i)
            sf.write(tmp_path / "voices" / name / f"{i}.wav", sound, RATE_HZ, subtype="FLOAT")
    return tmp_path / "voices"


CUTS = Cuts((1.0, 3.0, FULL), ("clean", "noise", "telephone"))


def test_evaluation_end_to_end(voices, tmp_path):
    trials = trials_of_folder(voices, nontargets_per_target=3)
    report, cells = evaluation.evaluate(
        [trials], Spectrum(), CUTS, Degradation(), resamples=20, progress=False
    )
    assert [(r.duration_s, r.condition) for r in report.rows] == [
        (d, c) for d in (1.0, 3.0, None) for c in CUTS.conditions
    ]
    for row, cell in zip(report.rows, cells, strict=True):
        short = sum(t.test.endswith(("0.wav", "1.wav")) for t in trials.trials)
        assert row.short == (short if row.duration_s == 3.0 else 0)
        assert row.unusable == 0
        assert row.trials == len(trials.trials) - row.short == len(cell.target)
        assert row.speakers == 4
    clean = report.rows[0].calibrated
    assert clean["eer"].value < 0.15  # the pitches are told apart
    assert {"cllr", "min_cllr", "act_dcf_05", "min_dcf_01"} <= set(clean)
    assert clean["cllr"].low < clean["cllr"].value < clean["cllr"].high
    assert "cllr" not in report.rows[0].cosine
    assert report.rows[0].cosine["eer"].value == clean["eer"].value
    assert "pink" in report.settings["noise"]


def test_short_test_sides_are_kept_when_asked(voices):
    trials = trials_of_folder(voices, nontargets_per_target=3)
    cuts = Cuts((3.0, 60.0, FULL), ("clean",), "keep")
    report, _ = evaluation.evaluate(
        [trials], Spectrum(), cuts, Degradation(), resamples=0, progress=False
    )
    assert {row.trials for row in report.rows} == {len(trials.trials)}
    full, minute = report.rows[2], report.rows[1]
    assert minute.cosine["eer"].value == full.cosine["eer"].value
    assert math.isnan(full.cosine["eer"].low)  # no resamples, no interval


def test_unusable_files_drop_their_trials_and_are_named(voices):
    (voices / "ada" / "0.wav").write_text("not sound")
    sf.write(voices / "ben" / "0.wav", np.full(10, 0.1), RATE_HZ)  # too short for any system
    trials = trials_of_folder(voices)
    report, _ = evaluation.evaluate(
        [trials], Spectrum(), Cuts((FULL,), ("clean",)), Degradation(), resamples=0, progress=False
    )
    lost = sum(bool({"ada/0.wav", "ben/0.wav"} & {t.enrol, t.test}) for t in trials.trials)
    assert report.rows[0].unusable == lost
    assert report.rows[0].trials == len(trials.trials) - lost
    assert any("2 recordings were left out" in n and "ada/0.wav" in n for n in report.notes)
    ada, ben = sorted(report.left_out)
    assert ada.startswith("ada/0.wav: not a sound file")
    assert ben == "ben/0.wav: has 0.00 s of net speech, and the model needs 0.25 s"
    for path in voices.rglob("*.wav"):
        path.write_text("not sound")
    with pytest.raises(EvaluationError, match="none of the lists' files"):
        evaluation.evaluate([trials], Spectrum(), CUTS, Degradation(), progress=False)


def test_list_of_one_kind_left_has_counts_but_no_figures(voices):
    trials = trials_of_folder(voices)
    # Only targets keep a test side of 3 s.
    left = [t for t in trials.trials if t.target == t.test.endswith("2.wav")]
    report, cells = evaluation.evaluate(
        [type(trials)("odd", trials.root, tuple(left))],
        Spectrum(),
        Cuts((3.0, 9.0), ("clean",)),
        Degradation(),
        resamples=3,
        progress=False,
    )
    assert report.rows[0].trials == report.rows[0].targets > 0
    assert report.rows[1].trials == 0
    assert report.rows[0].cosine == report.rows[1].calibrated == {}
    assert report.means == []
    assert "| - |" in as_markdown(report)
    evaluation.write(report, cells, voices.parent / "odd")


@pytest.fixture
def spoken(tmp_path, voice):
    """Two synthetic voices, two recordings each, and their list."""
    for name in ("anna", "bert"):
        (tmp_path / "wav" / name).mkdir(parents=True)
        for i in range(2):
            sf.write(tmp_path / "wav" / name / f"{i}.wav", voice(name, 3.0, seed=i), RATE_HZ)
    pairs = ["1 anna/0.wav anna/1.wav", "1 bert/0.wav bert/1.wav"]
    pairs += ["0 anna/0.wav bert/1.wav", "0 bert/0.wav anna/1.wav"]
    (tmp_path / "trials_two.txt").write_text("\n".join(pairs))
    return tmp_path


def test_run_evaluates_a_bundle_with_the_real_detector(spoken, spectral_bundle):
    report = evaluation.run(
        [spoken / "trials_two.txt"],
        spoken / "out",
        audio_root=spoken / "wav",
        bundle=spectral_bundle.folder,
        durations_s=[1.0, FULL],
        conditions=["clean"],
        resamples=10,
        provider="cpu",
        progress=False,
    )
    assert report.system == "spectral 1"
    assert report.lists[0]["name"] == "two"
    assert report.model["calibrated"] is True
    for row in report.rows:
        assert (row.trials, row.speakers, row.unusable) == (4, 2, 0)
        assert row.cosine["eer"].value == 0
    names = {path.name for path in (spoken / "out").iterdir()}
    assert names == {"report.json", "report.md", "det.png", "scores.png"}


def test_lists_with_reliable_labels_come_first_and_alone_count_in_the_means(spoken):
    pairs = (spoken / "trials_two.txt").read_text()
    (spoken / "trials_crowd.txt").write_text(pairs)
    paths = [spoken / "trials_crowd.txt", spoken / "trials_two.txt"]
    lists = evaluation.load_lists(paths, spoken / "wav", 0, ["two"])
    assert [(one.name, one.reliable) for one in lists] == [("two", True), ("crowd", False)]
    assert all(one.reliable for one in evaluation.load_lists(paths, spoken / "wav", 0))
    with pytest.raises(EvaluationError, match=r"no trial list has the name 'tow'.*crowd, two"):
        evaluation.load_lists(paths, spoken / "wav", 0, ["tow"])


def test_noise_is_told_only_where_it_was_used():
    degrade = Degradation()
    cuts = Cuts((1.0,), ("clean", "telephone"))
    assert "noise" not in evaluation.settings(cuts, degrade, 0)
    cuts = Cuts((1.0,), ("clean", "noise"))
    assert evaluation.settings(cuts, degrade, 0)["noise"] == degrade.noise_source


def evaluated(spoken, spectral_bundle, *options):
    """The command on the list of ``spoken``, at all of its net speech, clean."""
    arguments = ["evaluate", spoken / "trials_two.txt", "--audio-root", spoken / "wav"]
    arguments += ["--bundle", spectral_bundle.folder, "--output", spoken / "out"]
    arguments += ["--durations", "full", "--conditions", "clean", "--resamples", "0", *options]
    return CliRunner().invoke(app, list(map(str, arguments)))


def test_recordings_left_out_are_named(spoken, spectral_bundle, voice):
    sf.write(spoken / "wav" / "short.wav", voice("anna", 3.0)[: RATE_HZ // 5], RATE_HZ)
    (spoken / "wav" / "text.wav").write_text("not sound")
    with open(spoken / "trials_two.txt", "a") as file:
        file.write("\n0 bert/0.wav text.wav\n0 bert/0.wav short.wav\n")
    result = evaluated(spoken, spectral_bundle)
    assert result.exit_code == 0
    text, short, written = result.stderr.splitlines()[-3:]
    assert text.startswith("left out: wav/text.wav: not a sound file")
    assert short.startswith("left out: wav/short.wav: has 0.")
    assert short.endswith("s of net speech, and the model needs 0.5 s")
    assert written == f"written to {spoken / 'out'}"


def test_a_channel_is_chosen_where_there_are_several(spoken, spectral_bundle, voice):
    call = np.stack([voice("bert", 3.0, seed=5), voice("anna", 3.0, seed=5)], axis=1)
    sf.write(spoken / "wav" / "call.wav", call, RATE_HZ)
    pairs = "1 anna/0.wav call.wav\n1 call.wav anna/1.wav\n0 bert/0.wav call.wav\n"
    (spoken / "trials_two.txt").write_text(pairs)
    error = evaluated(spoken, spectral_bundle).exception
    assert "wav/call.wav: has 2 channels" in str(error)
    for channel, eer in ((0, 1), (1, 0)):  # Bert is heard on 0, Anna on 1
        result = evaluated(spoken, spectral_bundle, "--channel", channel)
        assert result.exit_code == 0
        assert "left out:" not in result.stderr
        report = json.loads((spoken / "out" / "report.json").read_bytes())
        assert report["settings"]["channel"] == channel
        (row,) = report["rows"]
        assert (row["trials"], row["unusable"]) == (3, 0)
        assert row["cosine"]["eer"]["value"] == eer
    error = evaluated(spoken, spectral_bundle, "--channel", 2).exception
    assert "wav/call.wav: has no channel 2: choose one with --channel 0 or 1" in str(error)


def test_a_list_without_any_figure_is_refused(spoken, spectral_bundle, voice):
    (spoken / "trials_two.txt").write_text("1 anna/0.wav anna/1.wav\n0 anna/0.wav odd.wav\n")
    odd = spoken / "wav" / "odd.wav"
    for sound, reason in (
        (np.zeros(3 * RATE_HZ), "digital silence"),
        (np.full(3 * RATE_HZ, np.nan), "NaN"),
        (voice("bert", 3.0)[: RATE_HZ // 5], "the model needs 0.5 s"),
    ):
        sf.write(odd, sound, RATE_HZ, subtype="FLOAT")
        error = evaluated(spoken, spectral_bundle).exception
        assert isinstance(error, EvaluationError)
        assert str(error).startswith("nothing was measured: ")
        assert "replace the 1 recordings that were left out: wav/odd.wav: " in str(error)
        assert reason in str(error)
        assert "\n" not in str(error)
        assert "--durations" not in str(error)  # none would help
    assert list((spoken / "out").iterdir()) == []
    error = evaluated(spoken, spectral_bundle, "--durations", "30").exception
    assert "name shorter --durations, or --short keep" in str(error)
    assert "less than the shortest duration, 30 s" in str(error)


def test_bundle_system_cuts_what_is_longer_than_its_window(spectral_bundle, voice):
    system = BundleSystem(spectral_bundle, "cpu")
    assert system.min_speech_s == spectral_bundle.manifest.min_window_s
    long_s = spectral_bundle.manifest.max_window_s + 3
    embeddings = system.embed(np.stack([voice("anna", long_s), voice("bert", long_s)]))
    assert embeddings.shape == (2, system.width)
    assert np.linalg.norm(embeddings[:, :-HEARD], axis=1) == pytest.approx([1, 1], abs=1e-5)
    assert np.all(np.isnan(embeddings[:, -HEARD:]))  # a graph for windows does not say how it heard
    short = system.embed(voice("anna", 5.0, seed=1)[None])
    seconds = np.array([long_s, long_s])
    pairs = np.array([[0, 0], [1, 0]])
    scores = system.score(embeddings, seconds, short, np.array([5.0]), pairs)
    assert scores.cosine[0] > scores.cosine[1]
    assert isinstance(scores, CalibratedScores)


def test_bundle_system_scores_tests_by_what_they_are_worth_and_enrolments_as_they_are(
    heard_bundle, voice
):
    system, scorer = BundleSystem(heard_bundle, "cpu"), CalibratedScorer(heard_bundle)
    sound = np.stack([voice("anna", 4.0), 0.01 * voice("anna", 4.0, seed=1)])
    (loud, low), seconds = system.embed(sound), np.array([4.0])
    assert loud[-HEARD] - low[-HEARD] > 5  # the SNR
    for enrol, test in ((loud, low), (low, loud)):
        found = system.score(enrol[None], seconds, test[None], seconds, np.array([[0, 0]]))
        expected = scorer.score(enrol[:-HEARD], 4.0, test[:-HEARD], 4.0, test[-HEARD:]).llr
        assert found.llr.item() == pytest.approx(expected, abs=1e-4)
        assert abs(expected - scorer.score(enrol[:-HEARD], 4.0, test[:-HEARD], 4.0).llr) > 1


def test_requests_that_cannot_be_met_are_refused_in_one_line(spoken, spectral_bundle):
    trials = [spoken / "trials_two.txt"]
    (spoken / "file").touch()
    good = {"audio_root": spoken / "wav", "bundle": spectral_bundle.folder, "progress": False}
    for bad, kind, message in (
        ({"durations_s": [0.0]}, EvaluationError, "positive"),
        ({"durations_s": []}, EvaluationError, "positive"),
        ({"durations_s": [0.1, 1.0]}, EvaluationError, r"needs 0\.5 s of speech, not 0\.1"),
        ({"conditions": ["rain"]}, EvaluationError, "no condition 'rain'"),
        ({"conditions": []}, EvaluationError, "no condition"),
        ({"short": "ignore"}, EvaluationError, "drop or keep"),
        ({"trials": []}, EvaluationError, "no trials were named"),
        ({"trials": trials * 2}, EvaluationError, "the name 'two'"),
        ({"output": spoken / "file" / "out"}, EvaluationError, "cannot write"),
        ({"noise": spoken / "none"}, VoxwatchError, "no noise folder"),
        ({"bundle": spoken / "none"}, BundleError, "no model bundle"),
    ):
        options = {"trials": trials, "output": spoken / "out", **good, **bad}
        with pytest.raises(kind, match=message) as error:
            evaluation.run(options.pop("trials"), options.pop("output"), **options)
        assert "\n" not in str(error.value)


def test_durations_and_conditions_from_text():
    assert evaluation.parse_durations("1, 2.5,full") == [1.0, 2.5, FULL]
    assert evaluation.parse_conditions("all") == list(evaluation.CONDITIONS)
    assert evaluation.parse_conditions("opus, clean") == ["opus", "clean"]
    with pytest.raises(EvaluationError, match="seconds or `full`"):
        evaluation.parse_durations("1,two")
    with pytest.raises(EvaluationError, match="'rain'"):
        evaluation.parse_conditions("clean,rain")
