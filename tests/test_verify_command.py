"""`voxwatch verify` as a user meets it: what it decides, and one clear line for what it cannot."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from command_line import Done, refused, voxwatch, voxwatch_process
from numpy.typing import NDArray

from engine.model.bundle import Bundle

Float32 = NDArray[np.float32]
Speak = Callable[..., Path]
Verify = Callable[..., Done]


@pytest.fixture
def verify(spectral_bundle: Bundle) -> Callable[..., Done]:
    def run(enroll: Path, test: Path, *more: object, by: Callable[..., Done] = voxwatch) -> Done:
        arguments = ["--enroll", enroll, "--test", test, "--bundle", spectral_bundle.folder]
        return by("verify", *arguments, *more)

    return run


def test_a_match_exits_0_and_anything_else_1(verify: Verify, speak: Speak) -> None:
    enroll = speak("a0.wav", "anna")
    same = verify(enroll, speak("a1.wav", "anna", seed=1), by=voxwatch_process)
    assert same.returncode == 0
    assert same.stderr == ""
    assert re.search(r"^decision +match$", same.stdout, re.MULTILINE)
    other = verify(enroll, speak("b.wav", "bert"), by=voxwatch_process)
    assert other.returncode == 1
    assert re.search(r"^decision +mismatch$", other.stdout, re.MULTILINE)


def test_json_is_one_object_for_machines(verify: Verify, speak: Speak) -> None:
    done = verify(speak("a0.wav", "anna"), speak("a1.wav", "anna", seed=1), "--json")
    result = json.loads(done.stdout)
    assert result["decision"] == "match"
    assert result["rule"] == {"prior": 0.5, "false_accept": 0.05, "miss": 0.05}
    for key in ("cosine", "norm", "llr", "evidence", "posterior"):
        assert isinstance(result[key], float)
    assert result["test"]["net_speech_s"] > 2


def test_prior_and_rates_reach_the_decision(verify: Verify, speak: Speak) -> None:
    files = speak("a0.wav", "anna"), speak("a1.wav", "anna", seed=1)
    doubtful = verify(*files, "--prior", "1e-9")
    assert doubtful.returncode == 1
    assert "prior of 1e-09" in doubtful.stdout
    assert "--prior" in refused(verify(*files, "--prior", "1.5"))
    assert "more than 1" in refused(verify(*files, "--false-accept", 0.7, "--miss", 0.6))


# Bad input: each with one line, a non-zero exit and no traceback.


def test_an_empty_file(verify: Verify, speak: Speak, tmp_path: Path) -> None:
    empty = tmp_path / "empty.wav"
    empty.touch()
    line = refused(verify(speak("a.wav", "anna"), empty))
    assert "empty.wav" in line
    assert "empty" in line.replace("empty.wav", "")


def test_shorter_than_the_smallest_window(verify: Verify, speak: Speak) -> None:
    enroll, short = speak("a.wav", "anna"), speak("short.wav", "anna", 0.3)
    done = verify(enroll, short)
    assert done.returncode == 1
    assert re.search(r"^decision +insufficient$", done.stdout, re.MULTILINE)
    (line,) = done.stderr.splitlines()
    assert line.startswith("insufficient: ")
    assert "the model needs 0.5 s: record more" in line
    line = refused(verify(short, enroll, "--allow-poor"))
    assert "0.3 s of speech: 0.5 s are needed" in line


def test_silence(verify: Verify, speak: Speak, tmp_path: Path) -> None:
    sf.write(tmp_path / "silent.wav", np.zeros(48000), 16000)
    assert "silence" in refused(verify(speak("a.wav", "anna"), tmp_path / "silent.wav"))


def test_clipping(
    verify: Verify, speak: Speak, voice: Callable[..., Float32], tmp_path: Path
) -> None:
    loud = np.clip(6 * voice("anna", 7), -1, 1)
    sf.write(tmp_path / "loud.wav", loud, 16000)
    line = refused(verify(speak("a.wav", "anna"), tmp_path / "loud.wav"))
    assert "clipped" in line
    assert "--allow-poor" in line


def test_nan(verify: Verify, speak: Speak, voice: Callable[..., Float32], tmp_path: Path) -> None:
    samples = voice("anna", 7)
    samples[5000:5010] = np.nan
    sf.write(tmp_path / "nan.wav", samples, 16000, subtype="FLOAT")
    assert "NaN" in refused(verify(speak("a.wav", "anna"), tmp_path / "nan.wav"))


def test_stereo_needs_a_channel_and_takes_the_one_chosen(
    verify: Verify, speak: Speak, voice: Callable[..., Float32], tmp_path: Path
) -> None:
    call = np.stack([voice("bert", 7, seed=3), voice("anna", 7, seed=3)], axis=1)
    sf.write(tmp_path / "call.wav", call, 16000)
    enroll = speak("a.wav", "anna")
    assert "--channel 0 or 1" in refused(verify(enroll, tmp_path / "call.wav"))
    assert verify(enroll, tmp_path / "call.wav", "--channel", 0).returncode == 1
    assert verify(enroll, tmp_path / "call.wav", "--channel", 1).returncode == 0
    assert "no channel 2" in refused(verify(enroll, tmp_path / "call.wav", "--channel", 2))


@pytest.mark.parametrize("rate_hz", [8000, 44100, 48000, 192000])
def test_rates_that_are_taken(
    verify: Verify, speak: Speak, voice: Callable[..., Float32], tmp_path: Path, rate_hz: int
) -> None:
    sf.write(tmp_path / "rate.wav", voice("anna", 5, seed=1, rate_hz=rate_hz), rate_hz)
    done = verify(speak("a.wav", "anna"), tmp_path / "rate.wav", "--json")
    assert done.stderr == ""
    assert json.loads(done.stdout)["test"]["net_speech_s"] > 1


@pytest.mark.parametrize("rate_hz", [4000, 400_000])
def test_rates_that_are_refused(verify: Verify, speak: Speak, tmp_path: Path, rate_hz: int) -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, rate_hz)
    sf.write(tmp_path / "rate.wav", noise, rate_hz)
    line = refused(verify(speak("a.wav", "anna"), tmp_path / "rate.wav"))
    assert f"{rate_hz} Hz" in line
    assert "8 to 192 kHz" in line


def test_a_text_file_called_wav(verify: Verify, speak: Speak, tmp_path: Path) -> None:
    (tmp_path / "letter.wav").write_text("Dear Alice,\nplease find attached nothing.\n")
    line = refused(verify(speak("a.wav", "anna"), tmp_path / "letter.wav"))
    assert "not a sound file" in line


def test_a_truncated_flac(
    verify: Verify, speak: Speak, voice: Callable[..., Float32], tmp_path: Path
) -> None:
    path = tmp_path / "cut.flac"
    sf.write(path, voice("anna", 7), 16000)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert "cut short" in refused(verify(speak("a.wav", "anna"), path))


def test_a_file_that_is_not_there(verify: Verify, speak: Speak, tmp_path: Path) -> None:
    missing = tmp_path / "none.wav"
    done = verify(speak("a.wav", "anna"), missing, by=voxwatch_process)
    assert "no such file" in refused(done)


def test_a_name_with_a_line_break_stays_one_line(
    verify: Verify, speak: Speak, tmp_path: Path
) -> None:
    assert "no such file" in refused(verify(speak("a.wav", "anna"), tmp_path / "a\nb.wav"))


def test_a_bundle_that_was_changed(spectral_bundle: Bundle, speak: Speak, tmp_path: Path) -> None:
    folder = shutil.copytree(spectral_bundle.folder, tmp_path / "changed")
    model = folder / "model.onnx"
    model.write_bytes(model.read_bytes() + b"\0")
    sound = speak("a.wav", "anna")
    line = refused(voxwatch("verify", "--enroll", sound, "--test", sound, "--bundle", folder))
    assert "sha256" in line


@pytest.mark.parametrize("named", ["folder", "file"])
def test_an_onnx_file_without_our_manifest(
    spectral_bundle: Bundle, speak: Speak, tmp_path: Path, named: str
) -> None:
    shutil.copy(spectral_bundle.model_path, tmp_path / "foreign.onnx")
    bundle = tmp_path if named == "folder" else tmp_path / "foreign.onnx"
    sound = speak("a.wav", "anna")
    line = refused(voxwatch("verify", "--enroll", sound, "--test", sound, "--bundle", bundle))
    assert "voxwatch models import" in line
