"""Sources of sound: files of any kind, raw PCM from a pipe or a file, at the right pace."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf

from engine.audio.files import read_audio
from engine.errors import AudioError
from streamer.sources import file
from streamer.sources.file import FileSource, Format, StdinSource, paced


async def joined(source: Any) -> bytes:
    return b"".join([piece async for piece in source])


@pytest.fixture
def stereo(tmp_path: Path) -> Path:
    left, right = np.linspace(-0.5, 0.5, 30_001), np.full(30_001, 0.25)
    sf.write(tmp_path / "call.wav", np.stack([left, right], axis=1), 48_000, subtype="FLOAT")
    return tmp_path / "call.wav"


async def test_a_file_comes_at_its_own_rate_sample_by_sample(stereo: Path) -> None:
    source = FileSource(stereo, channel=0)
    assert source.format == Format("pcm_f32le", 48_000)
    samples = np.frombuffer(await joined(source), "<f4")
    np.testing.assert_array_equal(samples, np.linspace(-0.5, 0.5, 30_001, dtype=np.float32))
    assert max([len(piece) async for piece in source]) == 4 * 4800


async def test_a_file_of_several_channels_needs_a_choice(stereo: Path) -> None:
    with pytest.raises(AudioError, match=r"has 2 channels.*: choose one"):
        FileSource(stereo)
    with pytest.raises(AudioError, match="no channel 2: choose one"):
        FileSource(stereo, 2)
    assert set(np.frombuffer(await joined(FileSource(stereo, 1)), "<f4")) == {0.25}


def test_what_is_no_recording_is_refused(tmp_path: Path) -> None:
    (tmp_path / "letter.wav").write_text("Dear Alice")
    with pytest.raises(AudioError, match="not a sound file"):
        FileSource(tmp_path / "letter.wav")
    with pytest.raises(AudioError, match="no such file"):
        FileSource(tmp_path / "none.wav")
    with pytest.raises(AudioError, match="is a folder"):
        FileSource(tmp_path)


async def test_a_file_that_is_damaged_in_the_middle_says_so(tmp_path: Path) -> None:
    path = tmp_path / "cut.flac"
    noise = np.random.default_rng(0).normal(0, 0.1, 160_000)
    sf.write(path, noise, 16_000)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(AudioError, match="damaged or cut short"):
        await joined(FileSource(path))


async def test_raw_sound_from_a_pipe_and_from_a_file_is_the_same(tmp_path: Path) -> None:
    sound = os.urandom(300_000)
    (tmp_path / "sound.raw").write_bytes(sound)
    form = Format("mulaw", 8000)
    with open(tmp_path / "sound.raw", "rb") as file:
        assert await joined(StdinSource(form, file)) == sound
    ends = os.pipe()

    def write() -> None:
        with open(ends[1], "wb") as file:
            file.write(sound)

    with open(ends[0], "rb") as file:
        writing = asyncio.create_task(asyncio.to_thread(write))
        assert await joined(StdinSource(form, file)) == sound
        await writing


async def test_a_pipe_that_says_nothing_can_be_left() -> None:
    ends = os.pipe()
    with open(ends[1], "wb"), open(ends[0], "rb") as file:
        task = asyncio.create_task(joined(StdinSource(Format("alaw", 8000), file)))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        (Format("pcm_s16le", 16_000), 32_000),
        (Format("pcm_f32le", 48_000, 2, 1), 384_000),
        (Format("alaw", 8000), 8000),
    ],
)
def test_bytes_in_a_second(form: Format, expected: int) -> None:
    assert form.bytes_per_s == expected


async def test_pieces_come_when_their_last_sample_was_spoken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slept: list[float] = []
    now = 100.0

    async def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds
        slept.append(seconds)

    async def pieces() -> AsyncIterator[bytes]:
        for size in (100, 300, 50):
            yield bytes(size)

    monkeypatch.setattr(file.asyncio, "sleep", sleep)
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: now)
    assert len([p async for p in paced(pieces(), 100, 2.0)]) == 3
    assert slept == pytest.approx([0.5, 1.5, 0.25])
    slept.clear()
    assert len([p async for p in paced(pieces(), 100, None)]) == 3
    assert slept == []


def test_a_wav_cut_short_is_refused_as_by_every_other_command(tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole.wav", tmp_path / "cut.wav"
    sf.write(whole, np.full(16_000, 0.1, np.float32), 16_000)
    cut.write_bytes(whole.read_bytes()[:20_000])
    assert FileSource(whole).duration_s == 1.0
    for reader in (FileSource, read_audio):
        with pytest.raises(AudioError, match=r"0\.6 s of 1\.0 s are there\): copy it again"):
            reader(cut)
