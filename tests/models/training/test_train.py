"""Training on a tiny corpus: it learns, resumes exactly, and refuses what it cannot run."""

# Long: one module, whose tests share the corpus of four voices and its configuration.

from __future__ import annotations

import csv
import json
import re
import shutil
from itertools import count
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import torch
from typer.testing import CliRunner, Result

from models.cli import app
from models.sound.corpus import Corpus
from models.sound.files import CorpusError
from models.training.train import (
    Config,
    Learner,
    Sampler,
    TrainingError,
    held_out,
    load_config,
    prepare_data,
    run,
)

CONFIGS = sorted((Path(__file__).parents[3] / "models" / "configs").glob("*.toml"))
RATE = 16_000
Batch = tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]
CONFIG = """
seed = 3
[network]
channels = 16
depths = [1, 1, 1]
kernel_sizes = [7, 65]
[data]
root = "{root}"
noise = "{root}/noise"
cache = "{root}/cache"
crops_s = [1.0]
crop_weights = [1.0]
batch_s = 6.0
coded_share = 0.5
heldout_share = 0.5
heldout_sources = ["toy"]
heldout_min_s = 3.0
speeds = [1.0, 1.1]
{data}
[augment]
rooms = 2
[schedule]
steps = {steps}
warmup_steps = 2
evaluate_every = 4
checkpoint_minutes = {minutes}
compile = false
{extra}
"""


def voice(pitch_hz: float, seconds: float, seed: int) -> np.ndarray:
    """A buzz with a pitch: enough for a detector of speech or for the fallback of keeping all."""
    time = np.arange(round(seconds * RATE)) / RATE
    wave = sum(np.sin(2 * np.pi * pitch_hz * k * time) / k for k in range(1, 12))
    noise = 0.02 * np.random.default_rng(seed).standard_normal(len(time))
    return (0.1 * wave + noise).astype(np.float32)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    (root / "train" / "toy").mkdir(parents=True)
    (root / "noise").mkdir()
    for i in range(8):
        x = np.random.default_rng(i).standard_normal(2 * RATE).astype(np.float32) * 0.1
        sf.write(root / "noise" / f"n{i}.opus", x, RATE, format="OGG", subtype="OPUS")
    with open(root / "train" / "manifest.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["speaker", "source", "language", "content", "start_s", "end_s"])
        for i in range(12):
            parts = [voice(90 + 15 * i, 2.0, 10 * i + k) for k in range(2)]
            path = root / "train" / "toy" / f"toy-{i:02}.opus"
            sf.write(path, np.concatenate(parts), RATE, format="OGG", subtype="OPUS")
            for k in range(2):
                writer.writerow([f"toy-{i:02}", "toy", "xx", "read", 2.0 * k, 2.0 * (k + 1)])
    return root


def write_config(
    data: Path,
    path: Path,
    steps: int = 8,
    minutes: float = 10.0,
    data_extra: str = "",
    extra: str = "",
) -> Path:
    text = CONFIG.format(root=data, steps=steps, minutes=minutes, data=data_extra, extra=extra)
    path.write_text(text)
    return path


def set_value(path: Path, section: str, line: str) -> Path:
    """Give the file's ``section``, which it may lack, this line in place of its own."""
    text = re.sub(rf"^{line.split()[0]} = .*\n", "", path.read_text(), flags=re.MULTILINE)
    if f"[{section}]" not in text:
        text += f"[{section}]\n"
    path.write_text(text.replace(f"[{section}]\n", f"[{section}]\n{line}\n"))
    return path


def weights(folder: Path) -> dict[str, torch.Tensor]:
    network: dict[str, torch.Tensor] = torch.load(folder / "last.pt", weights_only=True)["network"]
    return network


def test_a_run_is_reproducible_and_resumes_where_it_was(data: Path, tmp_path: Path) -> None:
    whole, halved = tmp_path / "whole", tmp_path / "halved"
    # The second run is killed in its sixth step, after the checkpoint of its fifth.
    config = write_config(data, tmp_path / "c.toml", minutes=0.0)
    run(config, whole, threads=1)
    original, calls = Sampler.batch, count(1)

    def failing(self: Sampler, rng: np.random.Generator) -> Batch:
        if next(calls) > 5:
            raise KeyboardInterrupt
        return original(self, rng)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Sampler, "batch", failing)
        with pytest.raises(KeyboardInterrupt):
            run(config, halved, threads=1)
    assert torch.load(halved / "last.pt", weights_only=True)["step"] == 5
    run(config, halved, resume=True, threads=1)
    for name, value in weights(whole).items():
        torch.testing.assert_close(weights(halved)[name], value, rtol=0, atol=0)
    logged = [json.loads(line) for line in (whole / "log.jsonl").read_text().splitlines()]
    assert [entry["step"] for entry in logged] == [4, 8]
    assert 0 <= logged[-1]["eer_clean"] <= 100


def test_the_command_trains_and_goes_on_where_it_is_asked_to(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = write_config(data, tmp_path / "mine.toml", steps=1)
    monkeypatch.chdir(tmp_path)

    def train(*options: str) -> Result:
        return CliRunner().invoke(app, ["train", str(config), "--threads", "1", *options])

    done = train("--device", "cpu")
    assert done.exit_code == 0, done.output
    assert torch.load("runs/mine/last.pt", weights_only=True)["step"] == 1  # by the file's name
    again = train()
    assert "pass --resume" in str(again.exception)
    write_config(data, config, steps=2)
    done = train("--resume")
    assert done.exit_code == 0, done.output
    logged = [json.loads(line) for line in Path("runs/mine/log.jsonl").read_text().splitlines()]
    assert [entry["step"] for entry in logged] == [1, 2]
    assert train("--output", "other").exit_code == 0
    assert torch.load("other/last.pt", weights_only=True)["step"] == 2


def test_a_run_in_parts_is_the_run_in_one(data: Path, tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    config = write_config(data, tmp_path / "c.toml")
    run(config, whole, threads=1)
    first = tmp_path / "first.toml"
    first.write_text(config.read_text().replace("steps = 8", "steps = 8\nuntil = 3"))
    run(first, parts, threads=1)
    assert torch.load(parts / "last.pt", weights_only=True)["step"] == 3
    run(config, parts, resume=True, threads=1)
    for name, value in weights(whole).items():
        torch.testing.assert_close(weights(parts)[name], value, rtol=0, atol=0)
    logged = [json.loads(line) for line in (parts / "log.jsonl").read_text().splitlines()]
    assert [entry["step"] for entry in logged] == [3, 4, 8]
    elapsed = [entry["elapsed_s"] for entry in logged]
    assert elapsed == sorted(elapsed)


def test_a_checkpoint_of_other_speakers_or_another_network_is_refused(
    data: Path, tmp_path: Path
) -> None:
    config = write_config(data, tmp_path / "c.toml", steps=1)
    run(config, tmp_path / "out", threads=1)
    kept = (tmp_path / "out" / "heldout.txt").read_text()
    for change in (
        ("heldout_share = 0.5", "heldout_share = 0.3"),
        ("channels = 16", "channels = 32"),
    ):
        other = tmp_path / "other.toml"
        other.write_text(config.read_text().replace(*change))
        with pytest.raises(TrainingError, match="use another --output"):
            run(other, tmp_path / "out", resume=True, threads=1)
    assert (tmp_path / "out" / "heldout.txt").read_text() == kept


def test_an_existing_run_is_not_overwritten(data: Path, tmp_path: Path) -> None:
    config = write_config(data, tmp_path / "c.toml", steps=1)
    run(config, tmp_path / "out", threads=1)
    with pytest.raises(TrainingError, match="--resume"):
        run(config, tmp_path / "out", threads=1)


def test_every_loss_trains(data: Path, tmp_path: Path) -> None:
    config = write_config(
        data,
        tmp_path / "c.toml",
        steps=4,
        data_extra="utterances_per_speaker = 2",
        extra="[loss]\naam = 1.0\ntriplet = 1.0\nge2e = 1.0\nsub_centres = 2",
    )
    run(config, tmp_path / "out", threads=1)
    entry = json.loads((tmp_path / "out" / "log.jsonl").read_text().splitlines()[-1])
    assert {"aam", "triplet", "ge2e"} <= set(entry)


def test_groups_of_one_speaker_have_one_label(data: Path, tmp_path: Path) -> None:
    path = write_config(
        data,
        tmp_path / "c.toml",
        data_extra="utterances_per_speaker = 3",
        extra="[loss]\nge2e = 1.0",
    )
    config = load_config(path)
    prepare_data(config)
    corpus = Corpus(config.data.cache)
    sampler = Sampler(corpus, config, held_out(corpus, config.data))
    seen = set()
    for seed in range(8):
        _, labels, _ = sampler.batch(np.random.default_rng(seed))
        assert bool((labels.view(-1, 3) == labels.view(-1, 3)[:, :1]).all())
        seen |= set(labels.tolist())
    assert seen & set(range(6))  # at the speed it was said
    assert seen & set(range(6, 12))  # and faster, as somebody else


def test_sub_centres_start_apart(data: Path, tmp_path: Path) -> None:
    path = write_config(data, tmp_path / "c.toml", extra="[loss]\nsub_centres = 2")
    config = load_config(path)
    prepare_data(config)
    corpus = Corpus(config.data.cache)
    sampler = Sampler(corpus, config, held_out(corpus, config.data))
    learner = Learner(config, sampler, torch.device("cpu"))
    centres = torch.nn.functional.normalize(torch.randn(12, 192), dim=1)
    learner.start_classes(centres)
    first, second = torch.nn.functional.normalize(learner.aam.weight.detach(), dim=2).unbind(1)
    assert float((first * second).sum(dim=1).max()) < 0.999
    assert float((first * centres).sum(dim=1).min()) > 0.98


def test_nobody_held_out_is_said(data: Path, tmp_path: Path) -> None:
    path = write_config(data, tmp_path / "c.toml")
    path.write_text(path.read_text().replace('heldout_sources = ["toy"]', "heldout_sources = []"))
    with pytest.raises(TrainingError, match=r"0 speakers to measure progress on.*heldout_sources"):
        run(path, tmp_path / "out", threads=1)


def test_files_that_are_none_of_ours_are_said(data: Path, tmp_path: Path) -> None:
    config = write_config(data, tmp_path / "c.toml", steps=1)
    run(config, tmp_path / "out", threads=1)
    with pytest.raises(TrainingError, match="is no text"):
        load_config(tmp_path / "out" / "last.pt")
    for content in (b"", b"alice"):
        (tmp_path / "out" / "last.pt").write_bytes(content)
        with pytest.raises(TrainingError, match=r"last\.pt is damaged .* use another --output"):
            run(config, tmp_path / "out", resume=True, threads=1)


def test_held_out_speakers_are_never_drawn(data: Path, tmp_path: Path) -> None:
    config = load_config(write_config(data, tmp_path / "c.toml"))
    prepare_data(config)
    corpus = Corpus(config.data.cache)
    heldout = held_out(corpus, config.data)
    assert len(heldout) == 6
    sampler = Sampler(corpus, config, heldout)
    assert not set(heldout) & set(sampler.speakers)
    assert sampler.classes == 2 * 6
    _, labels, targets = sampler.batch(np.random.default_rng(0))
    assert set(labels.tolist()) <= set(range(12))
    assert targets is None


def test_crops_carry_the_teachers_view_of_themselves(
    data: Path, teacher_weights: Path, tmp_path: Path
) -> None:
    def settings(share: float) -> Config:
        taught = f'teacher = "{teacher_weights}"\nteacher_windows = {share}\n'
        config = write_config(data, tmp_path / "c.toml", data_extra=taught)
        text = config.read_text().replace(f"{data}/cache", f"{tmp_path}/cache")
        config.write_text(text.replace("[augment]", "[augment]\nspeed = 1.0"))
        return load_config(config)

    drawn = {}
    prepare_data(settings(0.0))
    for share in (0.0, 0.5, 1.0):
        corpus = Corpus(settings(share).data.cache)
        sampler = Sampler(corpus, settings(share), held_out(corpus, settings(share).data))
        waveforms, labels, targets = sampler.batch(np.random.default_rng(0))
        assert targets is not None
        torch.testing.assert_close(targets.norm(dim=1), torch.ones(len(targets)))
        drawn[share] = waveforms, labels, targets
    centres = sampler.class_centres()
    assert centres is not None
    torch.testing.assert_close(drawn[0.0][2], torch.from_numpy(centres)[drawn[0.0][1]])
    torch.testing.assert_close(drawn[0.0][0], drawn[1.0][0])  # the same crops
    between = torch.nn.functional.normalize(drawn[0.0][2] + drawn[1.0][2])
    torch.testing.assert_close(drawn[0.5][2], between)
    assert not torch.allclose(drawn[0.0][2], drawn[1.0][2], atol=1e-3)


def test_fewer_speakers_than_axes_learn_from_a_teacher(
    data: Path, teacher_weights: Path, tmp_path: Path
) -> None:
    path = write_config(
        data,
        tmp_path / "c.toml",
        steps=2,
        data_extra=f'teacher = "{teacher_weights}"\nteacher_windows = 0.5',
        extra="[loss]\ndistillation = 10.0",
    )
    path.write_text(path.read_text().replace(f"{data}/cache", f"{tmp_path}/cache"))
    run(path, tmp_path / "out", threads=1)
    entry = json.loads((tmp_path / "out" / "log.jsonl").read_text().splitlines()[-1])
    assert 0 < entry["distillation"] < 2
    config = load_config(path)
    corpus = Corpus(config.data.cache)
    sampler = Sampler(corpus, config, held_out(corpus, config.data))
    centres, (_, _, targets) = sampler.class_centres(), sampler.batch(np.random.default_rng(0))
    assert centres is not None
    assert targets is not None
    for x in (centres, targets.numpy()):
        assert x.shape[1] == 192
        assert not x[:, 12:].any()  # twelve speakers have twelve axes
        np.testing.assert_allclose(np.linalg.norm(x, axis=1), 1, rtol=1e-5)


def test_a_batch_of_too_many_speakers_is_said_before_a_step(data: Path, tmp_path: Path) -> None:
    config = load_config(
        set_value(write_config(data, tmp_path / "c.toml"), "data", "batch_s = 7.0")
    )
    prepare_data(config)
    corpus = Corpus(config.data.cache)
    with pytest.raises(TrainingError, match=r"7 speakers, but only 6 .*batch_s, which is 7\.0"):
        Sampler(corpus, config, held_out(corpus, config.data))


def test_a_crop_that_is_never_drawn_needs_no_speakers(data: Path, tmp_path: Path) -> None:
    path = write_config(data, tmp_path / "c.toml")
    set_value(path, "data", "crops_s = [0.5, 1.0]")
    config = load_config(set_value(path, "data", "crop_weights = [0.0, 1.0]"))
    prepare_data(config)
    corpus = Corpus(config.data.cache)
    sampler = Sampler(corpus, config, held_out(corpus, config.data))
    assert sampler.batch(np.random.default_rng(0))[0].shape == (6, RATE)


def test_an_error_does_not_stand_on_the_line_of_the_bar(
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def failing(*_: object) -> None:
        raise TrainingError("the loss is not finite")

    monkeypatch.setattr(Learner, "train_step", failing)
    config = write_config(data, tmp_path / "c.toml")
    with pytest.raises(TrainingError, match="not finite"):
        run(config, tmp_path / "out", threads=1)
    shown = capsys.readouterr().err
    assert "0/8" in shown
    assert shown.endswith("\n")


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_configuration_that_comes_with_it_is_valid(path: Path) -> None:
    assert load_config(path).network.channels == 128


@pytest.mark.parametrize(
    ("section", "line", "message"),
    [
        ("schedule", "steps = 0", "schedule.steps must be >= 1, not 0"),
        ("schedule", "learning_rate = 0.0", "schedule.learning_rate must be > 0.0, not 0.0"),
        ("schedule", "learning_rate = -1", "schedule.learning_rate must be > 0.0, not -1"),
        ("schedule", "learning_rate = inf", "schedule.learning_rate must be <= 1000000000.0, not"),
        ("schedule", "weight_decay = -0.1", "schedule.weight_decay must be >= 0.0, not -0.1"),
        ("schedule", "clip_norm = 0", "schedule.clip_norm must be > 0.0, not 0"),
        ("schedule", "ema = 1.0", "schedule.ema must be < 1.0, not 1.0"),
        ("schedule", "checkpoint_minutes = nan", "checkpoint_minutes must be >= 0.0, not nan"),
        ("data", "crops_s = [0.0]", "data.crops_s[0] must be >= 0.2, not 0.0"),
        ("data", "crop_weights = [0.0]", "data.crop_weights are all 0: one must be above 0"),
        ("data", "crop_weights = [-1.0]", "data.crop_weights[0] must be >= 0.0, not -1.0"),
        ("data", "batch_s = -1.0", "data.batch_s must be > 0.0, not -1.0"),
        ("data", "heldout_share = 0.0", "data.heldout_share must be > 0.0, not 0.0"),
        ("data", "heldout_share = 1.0", "data.heldout_share must be < 1.0, not 1.0"),
        ("data", "heldout_min_s = -1", "data.heldout_min_s must be >= 0.0, not -1"),
        ("data", "coded_share = 1.5", "data.coded_share must be <= 1.0, not 1.5"),
        ("data", "speeds = [1.0, 0.0]", "data.speeds[1] must be > 0.0, not 0.0"),
        ("data", "utterances_per_speaker = 0", "data.utterances_per_speaker must be >= 1, not 0"),
        ("augment", "rooms = 0", "augment.rooms must be >= 1, not 0"),
        ("augment", "opus = 3.0", "augment.opus must be <= 1.0, not 3.0"),
        ("augment", "babble = -0.1", "augment.babble must be >= 0.0, not -0.1"),
        ("augment", "noise_snr_db = [0.0, inf]", "noise_snr_db[1] must be <= 100.0, not inf"),
        ("augment", "time_mask_frames = -1", "augment.time_mask_frames must be >= 0, not -1"),
        ("loss", "scale = nan", "loss.scale must be > 0.0, not nan"),
        ("loss", "scale = 0", "loss.scale must be > 0.0, not 0"),
        ("loss", "aam = -1.0", "loss.aam must be >= 0.0, not -1.0"),
        ("loss", "margin = nan", "loss.margin must be >= 0.0, not nan"),
        ("loss", "margin_steps = [0.2, 2.0]", "loss.margin_steps[1] must be <= 1.0, not 2.0"),
        ("loss", "sub_centres = 0", "loss.sub_centres must be >= 1, not 0"),
        ("network", "channels = 0", "network.channels must be >= 8, not 0"),
    ],
)
def test_a_number_out_of_bounds_is_named_with_its_bound(
    data: Path, tmp_path: Path, section: str, line: str, message: str
) -> None:
    path = set_value(write_config(data, tmp_path / "c.toml"), section, line)
    with pytest.raises(TrainingError, match=re.escape(f"{path}: ") + ".*" + re.escape(message)):
        load_config(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("seed = 3", "seed = 3\nsteps = 4"), "unknown field `steps`"),
        (("seed = 3", 'seed = "three"'), r"Expected `int`, got `str` - at `\$.seed`"),
        (("seed = 3", "seed = "), "c.toml"),
        (("crops_s = [1.0]", "crops_s = [1.0, 2.0]"), "differ in length"),
        (("compile = false", "compile = false\n[loss]\nge2e = 1.0"), "utterances_per_speaker"),
        (("compile = false", "compile = false\n[loss]\ndistillation = 1.0"), "data.teacher"),
        (("kernel_sizes = [7, 65]", "kernel_sizes = [8]"), "network: kernel sizes must be odd"),
        (("batch_s = 6.0", "batch_s = 1.5"), "two speakers' longest crops"),
        (("warmup_steps = 2", "warmup_steps = 0"), "warmup_steps"),
        (("speeds = [1.0, 1.1]", "speeds = [0.9, 1.0]"), r"speeds must begin with 1\.0"),
        (("compile = false", "compile = false\n[loss]\naam = 0.0"), "every loss has weight 0"),
        (("compile = false", "compile = false\n[loss]\ntriplet = 1.0"), "utterances_per_speaker"),
    ],
)
def test_a_wrong_configuration_is_named(
    data: Path, tmp_path: Path, change: tuple[str, str], message: str
) -> None:
    path = write_config(data, tmp_path / "c.toml")
    path.write_text(path.read_text().replace(*change))
    with pytest.raises(TrainingError, match=message):
        load_config(path)


def test_a_cache_serves_only_what_it_was_made_from(data: Path, tmp_path: Path) -> None:
    path = write_config(data, tmp_path / "c.toml")
    cache = tmp_path / "cache"
    path.write_text(path.read_text().replace(f"{data}/cache", str(cache)))
    prepare_data(load_config(path))
    rooms = (cache / "rooms.npy").stat().st_mtime_ns
    prepare_data(load_config(path))
    assert (cache / "rooms.npy").stat().st_mtime_ns == rooms
    noise = tmp_path / "noise"
    shutil.copytree(data / "noise", noise)
    prepare_data(load_config(path))
    (noise / "n0.opus").unlink()
    moved = tmp_path / "moved.toml"
    moved.write_text(path.read_text().replace(f"{data}/noise", str(noise)))
    with pytest.raises(TrainingError, match="made with another noise"):
        prepare_data(load_config(moved))
    path.write_text(path.read_text().replace("rooms = 2", "rooms = 3"))
    with pytest.raises(TrainingError, match=r"made with another rooms \(2, now 3\): name another"):
        prepare_data(load_config(path))


def test_missing_data_is_named(tmp_path: Path) -> None:
    config = write_config(tmp_path / "nowhere", tmp_path / "c.toml")
    with pytest.raises(TrainingError, match=r"manifest\.csv is missing"):
        run(config, tmp_path / "out", threads=1)


def test_noise_is_missed_before_speech_is_prepared(data: Path, tmp_path: Path) -> None:
    path = write_config(data, tmp_path / "c.toml")
    set_value(path, "data", f'cache = "{tmp_path}/cache"')
    set_value(path, "data", f'noise = "{tmp_path}/nowhere"')
    with pytest.raises(CorpusError, match=r"no noise to train with in .*nowhere"):
        run(path, tmp_path / "out", threads=1)
    assert not (tmp_path / "cache").exists()
