import json
import math
from collections import Counter

import numpy as np
import pytest
import soundfile as sf
from PIL import Image

from engine.bundle import BundleError
from engine.errors import VoxwatchError
from engine.scores import Scores
from models import evaluate as evaluation
from models import segments
from models.conditions import Degradation
from models.evaluate import BundleSystem, EvaluationError
from models.metrics import measure
from models.report import as_markdown, shown, with_intervals
from models.scoring import Scored, pooled_min_cllr
from models.segments import FULL, Cuts, embed_trials
from models.trials import read_trials, trials_of_folder

RATE_HZ = 16000
BANDS = 32
PITCHES_HZ = {"ada": 110, "ben": 150, "cid": 200, "dot": 265}


class Spectrum:
    """Remembers all it embeds; its embedding is a waveform's spectrum in bands."""

    name = "spectrum"
    min_speech_s = 0.25

    def __init__(self):
        self.seen = []
        self.batches = []

    def embed(self, waveforms):
        assert waveforms.dtype == np.float32
        self.batches.append(waveforms.shape)
        self.seen += [row.tobytes() for row in waveforms]
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
        return Scores(cosine, cosine, 20 * (cosine - 0.7))


def tone_of(pitch_hz, seconds, seed):
    """A buzz between half-second silences, so that something is left to cut out."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    buzz = sum(np.sin(2 * np.pi * k * pitch_hz * t + rng.uniform(0, 6)) / k for k in range(1, 6))
    silence = np.zeros(RATE_HZ // 2)
    sound = np.concatenate([silence, 0.2 * buzz + 0.01 * rng.standard_normal(len(t)), silence])
    return sound.astype(np.float32)


@pytest.fixture
def loudness_vad(monkeypatch):
    """Speech is what is not digital silence: exact lengths of net speech."""
    monkeypatch.setattr(segments, "speech_mask", lambda waves, vad: [w != 0 for w in waves])


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


def test_report_is_written_and_read_again(voices, tmp_path):
    lists = [trials_of_folder(voices, nontargets_per_target=3)]
    report, cells = evaluation.evaluate(
        lists, Spectrum(), CUTS, Degradation(), resamples=5, progress=False
    )
    evaluation.write(report, cells, tmp_path / "out")
    encoded = (tmp_path / "out" / "report.json").read_bytes()
    read = json.loads(encoded)
    assert read["rows"][-1]["duration_s"] is None
    for row, again in zip(report.rows, read["rows"], strict=True):
        for name, figure in row.calibrated.items():
            ends = (None if math.isnan(x) else x for x in (figure.low, figure.high))
            assert tuple(again["calibrated"][name].values()) == (figure.value, *ends)
    page = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    assert page == as_markdown(report)
    tables = [line.count("|") for line in page.splitlines() if line.startswith("| full")]
    assert len(tables) == 3
    assert len(set(tables)) == 1
    for name in ("det.png", "scores.png"):
        with Image.open(tmp_path / "out" / name) as image:
            pixels = np.asarray(image.convert("RGB"))
        assert min(pixels.shape[:2]) > 200
        assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 20  # not an empty frame


def test_nothing_is_embedded_twice(voices):
    trials = trials_of_folder(voices, nontargets_per_target=3)
    system = Spectrum()
    again = type(trials)("again", trials.root, trials.trials)
    (embeddings,) = embed_trials([trials, again], [system], CUTS, Degradation(), progress=False)
    assert max(Counter(system.seen).values()) == 1
    tests = {t.test for t in trials.trials}
    enrols = {t.enrol for t in trials.trials}
    long = sum(name.endswith("2.wav") for name in tests)
    expected = 6 * len(tests) + 3 * long + len(enrols - tests)
    assert len(system.seen) == expected == len(embeddings.vectors())


def test_short_test_sides_are_kept_when_asked_without_a_second_embedding(voices):
    trials = trials_of_folder(voices, nontargets_per_target=3)
    system = Spectrum()
    cuts = Cuts((3.0, 60.0, FULL), ("clean",), "keep")
    report, _ = evaluation.evaluate(
        [trials], system, cuts, Degradation(), resamples=0, progress=False
    )
    assert {row.trials for row in report.rows} == {len(trials.trials)}
    assert max(Counter(system.seen).values()) == 1
    full, minute = report.rows[2], report.rows[1]
    assert minute.cosine["eer"].value == full.cosine["eer"].value
    assert math.isnan(full.cosine["eer"].low)  # no resamples, no interval


def test_a_figure_that_no_draw_of_speakers_moves_has_no_interval():
    drawn = {"eer": np.zeros(200), "cllr": np.linspace(0.1, 0.3, 200)}
    figures = with_intervals({"eer": 0.0, "cllr": 0.2}, drawn)
    assert shown("eer", figures["eer"]) == "0.0"
    assert shown("cllr", figures["cllr"]) == "0.200 (0.105-0.295)"


def test_speech_is_cut_before_it_is_degraded(voices):
    trials = trials_of_folder(voices)
    calls = []

    class Recording(Degradation):
        def __call__(self, condition, speech, path):
            calls.append((condition, len(speech), path))
            return super().__call__(condition, speech, path)

    embed_trials([trials], [Spectrum()], Cuts((1.0,), ("opus",)), Recording(), progress=False)
    degraded = [(samples, path) for condition, samples, path in calls if condition == "opus"]
    assert {samples for samples, _ in degraded} == {RATE_HZ}
    assert {path for _, path in degraded} == {t.test for t in trials.trials}


def test_segments_of_one_length_share_a_batch_and_batches_stay_small(voices, monkeypatch):
    monkeypatch.setattr(segments, "BATCH_SEGMENTS", 4)
    system = Spectrum()
    trials = trials_of_folder(voices)
    embed_trials([trials], [system], Cuts((1.0,), ("clean",)), Degradation(), progress=False)
    rows = [rows for rows, samples in system.batches if samples == RATE_HZ]
    assert max(rows) == 4
    assert len(rows) <= math.ceil(sum(rows) / 4)
    # However many lengths there are, what waits is bounded: here nothing may wait.
    monkeypatch.setattr(segments, "PENDING_SAMPLES", 1)
    system = Spectrum()
    embed_trials([trials], [system], Cuts((1.0,), ("clean",)), Degradation(), progress=False)
    assert {rows for rows, _ in system.batches} == {1}


def test_all_systems_get_the_same_segments(voices):
    one, other = Spectrum(), Spectrum()
    other.min_speech_s = 2.0  # the more demanding one decides for both
    trials = trials_of_folder(voices)
    first, second = embed_trials([trials], [one, other], CUTS, Degradation(), progress=False)
    assert one.seen == other.seen
    assert min(samples for _, samples in one.batches) >= 2 * RATE_HZ
    assert np.array_equal(first.vectors(), second.vectors())


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
    assert any("1 files could not be used" in n and "ada/0.wav" in n for n in report.notes)
    for path in voices.rglob("*.wav"):
        path.write_text("not sound")
    with pytest.raises(EvaluationError, match="none of the lists' files"):
        evaluation.evaluate([trials], Spectrum(), CUTS, Degradation(), progress=False)


def test_means_average_lists_that_have_enough_targets(voices, monkeypatch):
    many = trials_of_folder(voices, nontargets_per_target=3)
    few = type(many)("few", many.root, (many.trials[0], many.trials[-1]))
    monkeypatch.setattr("models.scoring.MEAN_TARGETS", 3)
    cuts = Cuts((FULL,), ("noise",))
    report, _ = evaluation.evaluate(
        [many, few], Spectrum(), cuts, Degradation(), resamples=10, progress=False
    )
    (mean,) = report.means
    assert mean.lists == 1
    assert mean.cosine["eer"] == report.rows[0].cosine["eer"]
    alone = report.rows[0].calibrated["min_cllr"].value
    assert mean.calibrated["pooled_min_cllr"].value == pytest.approx(alone)
    monkeypatch.setattr("models.scoring.MEAN_TARGETS", 1)
    report, _ = evaluation.evaluate(
        [many, few], Spectrum(), cuts, Degradation(), resamples=10, progress=False
    )
    (mean,) = report.means
    assert mean.lists == 2
    values = [row.calibrated["cllr"].value for row in report.rows]
    assert mean.calibrated["cllr"].value == pytest.approx(np.mean(values))
    assert mean.trials == len(many.trials) + 2


def test_one_rescoring_of_all_lists_does_no_better_than_one_for_each():
    rng = np.random.default_rng(0)
    target = np.arange(400) % 4 == 0
    scores = [rng.standard_normal(400) + 2 * target + shift for shift in (0.0, 1.5)]
    lists = [Scored(s, True, measure(s, target, is_llr=True), {}) for s in scores]
    own = np.mean([one.figures["min_cllr"] for one in lists])
    # Lists of scores that lie apart need different rescorings; alike, one does for both.
    assert pooled_min_cllr(lists, [target, target]) > 1.1 * own
    again = [lists[0], lists[0]]
    once = lists[0].figures["min_cllr"]
    assert pooled_min_cllr(again, [target, target]) == pytest.approx(once)
    thrice = [Scored(np.tile(scores[1], 3), True, {}, {}), lists[0]]
    weighed = pooled_min_cllr(thrice, [np.tile(target, 3), target])
    assert weighed == pytest.approx(pooled_min_cllr(lists, [target, target]))


def test_a_mean_tells_the_error_rates_of_each_threshold(voices, monkeypatch):
    monkeypatch.setattr("models.scoring.MEAN_TARGETS", 1)
    trials = trials_of_folder(voices, nontargets_per_target=3)
    report, (cell,) = evaluation.evaluate(
        [trials], Spectrum(), Cuts((FULL,), ("clean",)), Degradation(), resamples=3, progress=False
    )
    points = report.means[0].operating_points
    assert len(points) > 20
    for point in (points[0], points[len(points) // 2], points[-1]):
        taken = cell.calibrated.scores >= point.llr
        assert point.false_accept == pytest.approx(taken[~cell.target].mean(), abs=1e-5)
        assert point.false_reject == pytest.approx(1 - taken[cell.target].mean(), abs=1e-5)


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


def test_bundle_system_cuts_what_is_longer_than_its_window(spectral_bundle, voice):
    system = BundleSystem(spectral_bundle, "cpu")
    assert system.min_speech_s == spectral_bundle.manifest.min_window_s
    long_s = spectral_bundle.manifest.max_window_s + 3
    embeddings = system.embed(np.stack([voice("anna", long_s), voice("bert", long_s)]))
    assert np.linalg.norm(embeddings, axis=1) == pytest.approx([1, 1], abs=1e-5)
    short = system.embed(voice("anna", 5.0, seed=1)[None])
    seconds = np.array([long_s, long_s])
    pairs = np.array([[0, 0], [1, 0]])
    scores = system.score(embeddings, seconds, short, np.array([5.0]), pairs)
    assert scores.cosine[0] > scores.cosine[1]
    assert scores.llr is not None


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


def test_one_file_in_two_lists_is_one_file(spoken):
    lists = [read_trials(spoken / "trials_two.txt", spoken / "wav")]
    pairs = ["1 wav/anna/0.wav wav/anna/1.wav", "0 wav/anna/0.wav wav/bert/1.wav"]
    (spoken / "more.txt").write_text("\n".join(pairs))
    lists.append(read_trials(spoken / "more.txt"))
    system = Spectrum()
    embed_trials(lists, [system], Cuts((1.0, FULL), ("clean",)), Degradation(), progress=False)
    assert max(Counter(system.seen).values()) == 1
