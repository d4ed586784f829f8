"""Recordings as people really hand them over."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from numpy.typing import NDArray

from engine.audio.files import read_audio
from engine.errors import AudioError

Float32 = NDArray[np.float32]


def tone(
    rate_hz: int, seconds: float = 1.0, *, pitch_hz: float = 440, peak: float = 0.5
) -> Float32:
    t = np.arange(round(rate_hz * seconds)) / rate_hz
    return (peak * np.sin(2 * np.pi * pitch_hz * t)).astype(np.float32)


def write(path: Path, samples: NDArray[np.floating], rate_hz: int, subtype: str = "PCM_16") -> Path:
    sf.write(path, samples, rate_hz, subtype=subtype)
    return path


def refusal(path: Path, channel: int | None = None) -> str:
    with pytest.raises(AudioError) as caught:
        read_audio(path, channel=channel)
    line = str(caught.value)
    assert "\n" not in line
    assert line.startswith(f"{path}: ")
    return line


@pytest.mark.parametrize("rate_hz", [8000, 11025, 16000, 44100, 48000, 96000, 192000])
def test_every_rate_becomes_16_khz_with_pitch_level_and_length_kept(
    tmp_path: Path, rate_hz: int
) -> None:
    audio = read_audio(write(tmp_path / "a.wav", tone(rate_hz, 2), rate_hz))
    assert audio.waveform.dtype == np.float32
    assert audio.waveform.ndim == 1
    assert audio.duration_s == pytest.approx(2, abs=0.001)
    middle = audio.waveform[8000:24000]
    assert np.argmax(np.abs(np.fft.rfft(middle))) == 440  # one second: bins of 1 Hz
    assert np.abs(middle).max() == pytest.approx(0.5, abs=0.01)
    assert audio.level_dbfs == pytest.approx(20 * np.log10(0.5 / np.sqrt(2)), abs=0.05)


@pytest.mark.parametrize("rate_hz", [4000, 7999, 192001, 400_000])
def test_a_rate_outside_the_range_is_refused(tmp_path: Path, rate_hz: int) -> None:
    line = refusal(write(tmp_path / "a.wav", tone(rate_hz, pitch_hz=100), rate_hz))
    assert f"{rate_hz} Hz" in line
    assert "8 to 192 kHz" in line


@pytest.mark.parametrize("name", ["a.flac", "a.ogg", "a.mp3", "a.aiff"])
def test_other_formats_are_read(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    sf.write(path, tone(44100, 2), 44100)
    assert read_audio(path).duration_s == pytest.approx(2, abs=0.1)


def test_the_content_decides_the_format_not_the_name(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", tone(16000), 16000).rename(tmp_path / "a.raw")
    assert read_audio(path).duration_s == 1


def test_a_channel_must_be_chosen_and_is_the_one_that_is_read(tmp_path: Path) -> None:
    left, right = tone(16000), tone(16000, pitch_hz=1000)
    path = write(tmp_path / "call.wav", np.stack([left, right], axis=1), 16000)
    assert "--channel 0 or 1" in refusal(path)
    assert "no channel 2" in refusal(path, channel=2)
    assert "no channel -1" in refusal(path, channel=-1)
    for channel, expected in ((0, left), (1, right)):
        np.testing.assert_allclose(read_audio(path, channel=channel).waveform, expected, atol=1e-4)


@pytest.mark.parametrize("scale", [2.0**15, 2.0**31])
@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE"])
def test_floats_that_were_never_divided_by_full_scale(
    tmp_path: Path, scale: float, subtype: str
) -> None:
    path = tmp_path / "a.wav"
    sf.write(path, tone(16000) * scale, 16000, subtype=subtype)
    assert "divide them by it" in refusal(path)
    sf.write(path, tone(16000) * 1.5, 16000, subtype=subtype)  # its peaks would be clipped
    assert read_audio(path).level_dbfs < 0


def test_a_mono_file_needs_no_channel_and_ignores_one(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", tone(16000), 16000)
    np.testing.assert_array_equal(read_audio(path, channel=1).waveform, read_audio(path).waveform)


def test_missing_folder_empty_and_text(tmp_path: Path) -> None:
    assert "no such file" in refusal(tmp_path / "none.wav")
    assert "folder" in refusal(tmp_path)
    empty = tmp_path / "empty.wav"
    empty.touch()
    assert "empty" in refusal(empty)
    text = tmp_path / "text.wav"
    text.write_text("dear diary, " * 1000)
    assert "not a sound file" in refusal(text)


def test_a_header_without_samples(tmp_path: Path) -> None:
    assert "no samples" in refusal(write(tmp_path / "a.wav", np.zeros(0, np.float32), 16000))


@pytest.mark.parametrize("keep", [0.02, 0.5, 0.97])
def test_a_truncated_flac(tmp_path: Path, keep: float) -> None:
    path = write(tmp_path / "a.flac", np.random.default_rng(0).normal(0, 0.1, 48000), 16000)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * keep)])
    line = refusal(path)
    assert "cut short" in line or "not a sound file" in line
    assert "copy it again" in line or keep == 0.02


@pytest.mark.parametrize("keep", [0.5, 0.95])
@pytest.mark.parametrize("tag", [b"", b"ID3\x04\x00\x00\x00\x00\x02\x2c" + bytes(300)])
def test_a_truncated_mp3(tmp_path: Path, keep: float, tag: bytes) -> None:
    path = tmp_path / "a.mp3"
    sf.write(path, np.random.default_rng(0).normal(0, 0.1, 48000), 16000)
    whole = path.read_bytes()
    path.write_bytes(tag + whole)
    assert read_audio(path).duration_s == pytest.approx(3.0, abs=0.1)
    path.write_bytes(tag + whole[: int(len(whole) * keep)])
    line = refusal(path)
    assert "cut short (" in line
    assert "frames of" in line


def test_an_mp3_that_states_no_length_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.mp3"
    sf.write(path, np.random.default_rng(0).normal(0, 0.1, 48000), 16000)
    data = bytearray(path.read_bytes())
    at = max(data.find(b"Xing"), data.find(b"Info"))
    for place, other in ((at + 4, bytes(4)), (at, b"none")):  # no flags, no such header
        data[place : place + 4] = other
        path.write_bytes(data)
        assert read_audio(path).duration_s > 1  # libsndfile reads as far as it estimates


def test_a_header_that_claims_more_than_there_is_costs_no_memory(tmp_path: Path) -> None:
    path = write(tmp_path / "a.flac", np.random.default_rng(0).normal(0, 0.1, 48000), 16000)
    data = bytearray(path.read_bytes())
    # STREAMINFO: the last 36 of the 64 bits from byte 18 count the samples (RFC 9639, 8.2).
    data[21] |= 0x0F
    data[22:26] = b"\xff\xff\xff\x00"
    path.write_bytes(data)
    line = refusal(path)
    assert "cut short" in line


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_samples_that_are_no_numbers(tmp_path: Path, bad: float) -> None:
    samples = tone(16000)
    samples[7000] = bad
    assert "NaN" in refusal(write(tmp_path / "a.wav", samples, 16000, "FLOAT"))


def test_silence_digital_and_nearly(tmp_path: Path) -> None:
    assert "digital silence" in refusal(write(tmp_path / "a.wav", np.zeros(16000), 16000))
    quiet = tone(16000, peak=0.0005)  # -69 dBFS
    assert "-69 dBFS" in refusal(write(tmp_path / "b.wav", quiet, 16000, "FLOAT"))
    read_audio(write(tmp_path / "c.wav", tone(16000, peak=0.003), 16000, "FLOAT"))


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT"])
def test_clipping_counts_flat_runs_and_not_peaks(tmp_path: Path, subtype: str) -> None:
    loud = np.clip(tone(16000, pitch_hz=100, peak=1.5), -1, 1)
    cut = read_audio(write(tmp_path / "a.wav", loud, 16000, subtype)).clipped
    # |sin| > 1/1.5 for this share of a period.
    assert cut == pytest.approx(1 - 2 * np.arcsin(1 / 1.5) / np.pi, abs=0.02)
    peaks = tone(16000, pitch_hz=440)
    peaks[::100] = 1
    assert read_audio(write(tmp_path / "b.wav", peaks, 16000, subtype)).clipped == 0


@pytest.mark.parametrize("subtype", ["ULAW", "ALAW"])
def test_a_telephone_recording_that_is_cut_flat_is_clipped(tmp_path: Path, subtype: str) -> None:
    loud = np.clip(tone(8000, pitch_hz=100, peak=1.5), -1, 1)
    assert read_audio(write(tmp_path / "a.wav", loud, 8000, subtype)).clipped > 0.4
    fine = tone(8000, pitch_hz=100, peak=0.9)
    assert read_audio(write(tmp_path / "b.wav", fine, 8000, subtype)).clipped == 0


def test_the_recorded_voice_comes_through_unchanged(
    speak: Callable[..., Path], voice: Callable[..., Float32]
) -> None:
    audio = read_audio(speak("a.wav", "anna", 2.0))
    np.testing.assert_allclose(audio.waveform, voice("anna", 2.0), atol=1e-4)


def test_a_wav_shorter_than_its_header_says_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cut.wav"
    sf.write(path, 0.1 * np.random.default_rng(0).standard_normal(16_000), 16_000)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(AudioError, match="cut short"):
        read_audio(path)


def test_a_wav_streamed_without_a_length_is_read(tmp_path: Path) -> None:
    path = tmp_path / "stream.wav"
    sf.write(path, 0.1 * np.random.default_rng(0).standard_normal(16_000), 16_000)
    data = bytearray(path.read_bytes())
    data[4:8] = data[40:44] = b"\xff\xff\xff\xff"
    path.write_bytes(data)
    assert len(read_audio(path).waveform) == 16_000


@pytest.mark.parametrize("second", [1.0, -1.0, -0.5, 0.3])
def test_of_two_microphones_of_one_voice_the_louder_is_read(
    tmp_path: Path, second: float, voice: Callable[..., Float32]
) -> None:
    sound = voice("anna", 2.0)
    path = write(tmp_path / "two.wav", np.stack([0.6 * sound, 0.6 * second * sound], axis=1), 16000)
    np.testing.assert_allclose(read_audio(path).waveform, 0.6 * sound, atol=1e-4)
    path = write(tmp_path / "two.wav", np.stack([0.3 * second * sound, 0.6 * sound], axis=1), 16000)
    np.testing.assert_allclose(read_audio(path).waveform, 0.6 * sound, atol=1e-4)


@pytest.mark.parametrize("live", [0, 1])
@pytest.mark.parametrize("noise", [0.0, 1e-5])
def test_beside_an_empty_socket_the_microphone_is_read(
    tmp_path: Path, voice: Callable[..., Float32], live: int, noise: float
) -> None:
    sound = 0.6 * voice("anna", 2.0)
    sides = noise * np.random.default_rng(0).standard_normal((len(sound), 2)).astype(np.float32)
    sides[:, live] = sound
    path = write(tmp_path / "one.wav", sides, 16000)
    np.testing.assert_allclose(read_audio(path).waveform, sound, atol=1e-4)


def test_of_a_soft_side_and_a_loud_one_none_is_chosen(
    tmp_path: Path, voice: Callable[..., Float32]
) -> None:
    sides = np.stack([0.6 * voice("anna", 2.0), 0.002 * voice("bert", 2.0)], axis=1)
    assert "choose one" in refusal(write(tmp_path / "call.wav", sides, 16000))


def test_two_silent_channels_are_none(tmp_path: Path) -> None:
    assert "choose one" in refusal(write(tmp_path / "none.wav", np.zeros((16000, 2)), 16000))


def test_of_the_sides_of_a_call_none_is_chosen(
    tmp_path: Path, voice: Callable[..., Float32]
) -> None:
    sides = np.stack([voice("anna", 2.0), voice("bert", 2.0)], axis=1)
    assert "choose one" in refusal(write(tmp_path / "call.wav", sides, 16000))


def test_a_recording_with_an_offset_is_read_without_it(
    tmp_path: Path, voice: Callable[..., Float32]
) -> None:
    sound = 0.6 * voice("anna", 3.0)
    heard = read_audio(write(tmp_path / "dc.wav", sound + 0.3, 16000)).waveform
    assert abs(float(np.mean(heard[8000:]))) < 0.001
