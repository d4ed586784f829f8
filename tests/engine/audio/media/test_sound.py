"""Recordings by PyAV: all of the sound, or what is lacking; one track, and nothing else."""

# Long: every form that PyAV reads is asked the same, with the recordings that it makes of a tone.

from __future__ import annotations

import functools
import io
import itertools
import re
import struct
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from encoded import encoded, film, frame_of, library
from numpy.typing import NDArray
from sound_files import id3_tag

from engine.audio.files import read_audio
from engine.audio.media.layouts import AMR_NB
from engine.audio.media.library import MediaMissing
from engine.audio.recording import Recording
from engine.errors import AudioError
from streamer.sources.file import FileSource

library()

Float32 = NDArray[np.float32]
# What people have: container, codec and rate, and how much sound an encoder may add.
FORMS = {
    "browser.webm": ("webm", "libopus", 48_000, 0.03),
    "phone.m4a": ("ipod", "aac", 44_100, 0.05),
    "call.3gp": ("3gp", "aac", 16_000, 0.07),
    "film.mp4": ("mp4", "aac", 48_000, 0.05),
    "note.amr": ("amr", "libopencore_amrnb", 8_000, 0.03),
    "old.mp3": ("mp3", "libmp3lame", 44_100, 0.001),
    "raw.aac": ("adts", "aac", 16_000, 0.2),
    "lossless.mka": ("matroska", "flac", 16_000, 0.0),
}


def tone(seconds: float, rate_hz: int, channels: int = 1, pitch_hz: float = 440.0) -> Float32:
    t = np.arange(round(seconds * rate_hz)) / rate_hz
    pitches = pitch_hz * (1 + np.arange(channels))
    return np.asarray(0.4 * np.sin(2 * np.pi * t[:, None] * pitches), np.float32)


@functools.cache
def recording(name: str, seconds: float = 2.0, pitch_hz: float = 440.0) -> bytes:
    form, codec, rate_hz, _ = FORMS[name]
    return encoded(form, codec, tone(seconds, rate_hz, pitch_hz=pitch_hz), rate_hz=rate_hz)


def read(data: bytes) -> tuple[Float32, int, tuple[str, ...]]:
    with Recording(data) as found:
        blocks = list(found.blocks(1000))
        return np.concatenate(blocks), found.rate_hz, found.warnings


def pitch_of(samples: Float32, rate_hz: int) -> float:
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum) * rate_hz / len(samples))


@pytest.mark.parametrize("name", FORMS)
def test_all_of_the_sound_is_read(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    _, _, rate_hz, more_s = FORMS[name]
    samples, found_hz, warnings = read(recording(name))
    assert (found_hz, samples.shape[1], warnings) == (rate_hz, 1, ())
    assert len(samples) / rate_hz == pytest.approx(2.0 + more_s / 2, abs=more_s / 2 + 0.001)
    middle = samples[rate_hz // 2 : 3 * rate_hz // 2, 0]
    assert pitch_of(middle, rate_hz) == pytest.approx(440, abs=1.5)
    assert float(np.abs(middle).max()) == pytest.approx(0.4, abs=0.05)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("name", FORMS)
def test_every_command_reads_it_whatever_it_is_called(name: str, tmp_path: Path) -> None:
    path = tmp_path / "called.wav"
    path.write_bytes(recording(name))
    more_s = FORMS[name][3]
    assert read_audio(path).duration_s == pytest.approx(2.0, abs=more_s + 0.01)
    assert sum(map(len, FileSource(path)._pieces())) > 2 * 4 * FORMS[name][2] - 8


@pytest.mark.parametrize("name", ["phone.m4a", "film.mp4", "lossless.mka"])
def test_tags_need_not_be_utf_8(name: str) -> None:
    data, buffer = recording(name), io.BytesIO()
    with (
        library().open(io.BytesIO(data)) as old,
        library().open(buffer, "w", format=FORMS[name][0]) as new,
    ):
        new.metadata["title"] = "a title"
        stream = new.add_stream_from_template(old.streams.audio[0])
        for packet in old.demux(audio=0):
            if packet.dts is not None:
                packet.stream = stream
                new.mux(packet)
    tagged = buffer.getvalue()
    assert b"a title" in tagged
    samples, rate_hz, _ = read(tagged.replace(b"a title", b"\xff\xfe\xe9itle"))
    assert len(samples) / rate_hz == pytest.approx(2.0, abs=0.1)


@pytest.mark.parametrize("name", FORMS)
def test_joined_recordings_are_all_heard(name: str) -> None:
    samples, rate_hz, warnings = read(recording(name) + recording(name, 1.0, 880.0))
    assert len(samples) / rate_hz == pytest.approx(3.0, abs=2 * FORMS[name][3] + 0.06)
    assert pitch_of(samples[-rate_hz // 2 :, 0], rate_hz) == pytest.approx(880, abs=3)
    if name != "raw.aac":  # frames that follow frames: nothing says that another begins
        assert "holds 2 recordings, one after the other: all are read" in warnings[0]


def wma() -> bytes:
    return encoded("asf", "aac", tone(2.0, 44_100), rate_hz=44_100)


# Other files, by what is said of them.
OTHERS = {
    "WAV": ("WAV", None),
    "RF64": ("RF64", None),
    "Wave64": ("W64", None),
    "AIFF": ("AIFF", None),
    "CAF": ("CAF", None),
    "AU": ("AU", None),
    "FLAC": ("FLAC", None),
    "Ogg": ("OGG", "VORBIS"),
}
SAID = {
    "browser.webm": "WebM or Matroska",
    "phone.m4a": "MP4",
    "note.amr": "AMR",
    "raw.aac": "AAC",
    "old.mp3": "MP3",
    "lossless.mka": "WebM or Matroska",
    "voice.wma": "WMA",
}


@functools.cache
def other(name: str) -> bytes:
    """A file of the name, by libsndfile where it can."""
    if name == "voice.wma":
        return wma()
    if name not in OTHERS:
        return recording(name)
    buffer, (form, subtype) = io.BytesIO(), OTHERS[name]
    sf.write(buffer, tone(2.0, 16_000), 16_000, format=form, subtype=subtype)
    return buffer.getvalue()


def unlike(first: str, second: str) -> bool:
    return SAID.get(first, first) != SAID.get(second, second)


PAIRS = [
    (first, second)
    for first, second in itertools.permutations((*OTHERS, *SAID), 2)
    if unlike(first, second) and not {first, second} <= set(OTHERS)  # those: test_recording
]


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_the_form_of_what_follows_is_named_and_what_to_do(first: str, second: str) -> None:
    begins = len(other(first))
    form = {"RF64": "WAV"}.get(second, SAID.get(second, second))
    with pytest.raises(AudioError, match=r"not read as one .* take them apart") as refused:
        read(other(first) + other(second))
    found = re.search(r"\((.*) begins at byte (\d+)\)", str(refused.value))
    assert found is not None
    assert found[1] == form
    assert 0 <= int(found[2]) - begins < 600  # of MP3 and AAC the first frame that is sound


@pytest.mark.parametrize("name", ["browser.webm", "note.amr", "raw.aac"])
def test_damage_is_still_called_damage(name: str) -> None:
    whole = recording(name)
    spoilt = whole[: len(whole) // 2] + b"\x7f" * 64 + whole[len(whole) // 2 + 64 :]
    for data in (spoilt, whole[:-5]):
        with pytest.raises(AudioError, match="damaged or cut short"):
            read(data)


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("keep", [0.35, 0.8])
def test_a_recording_that_is_cut_short_is_refused(name: str, keep: float, tmp_path: Path) -> None:
    whole = recording(name)
    path = tmp_path / name
    path.write_bytes(whole[: round(keep * len(whole)) + 1])
    for reader in (read_audio, FileSource):
        with pytest.raises(AudioError, match="damaged or cut short"):
            reader(path)


@pytest.mark.parametrize("name", FORMS)
def test_spoilt_recordings_end_in_sound_or_in_an_error(name: str) -> None:
    rng = np.random.default_rng(0)
    for _ in range(12):
        spoilt = bytearray(recording(name, 0.5))
        for place in rng.integers(0, len(spoilt), 6):
            spoilt[place] = rng.integers(256)
        try:
            samples, rate_hz, _ = read(bytes(spoilt))
        except AudioError:
            continue
        assert len(samples) / rate_hz < 200


def test_a_header_that_says_nothing_follows_is_refused() -> None:
    for name in FORMS:
        with pytest.raises(AudioError):
            read(recording(name)[:60])
    with pytest.raises(AudioError):
        read(b"#!AMR\n")


def with_pauses(data: bytes) -> tuple[bytes, int]:
    """An AMR with pauses, as telephones that save bits send them, and how many frames it has."""
    head, frames = b"#!AMR\n", data[6:]
    size = AMR_NB[frames[0] >> 3 & 15]
    every = [frames[at : at + size] for at in range(0, len(frames), size)]
    for n in range(20, 60):
        every[n] = b"\x44" + bytes(5) if n % 8 == 4 else b"\x7c"
    return head + b"".join(every), len(every)


def test_pauses_in_a_telephones_recording_are_silence() -> None:
    data, frames = with_pauses(recording("note.amr"))
    samples, rate_hz, warnings = read(data)
    assert (rate_hz, warnings) == (8_000, ())
    assert len(samples) / rate_hz == pytest.approx(frames / 50, abs=0.02)
    assert np.abs(samples[round(0.42 * rate_hz) : round(1.18 * rate_hz)]).max() == 0
    assert np.abs(samples[round(1.3 * rate_hz) :]).max() > 0.1


def test_a_telephones_recording_may_begin_with_a_pause() -> None:
    data, frames = with_pauses(recording("note.amr"))
    samples, rate_hz, _ = read(data[:6] + b"\x7c" * 50 + data[6:])
    assert len(samples) / rate_hz == pytest.approx(1 + frames / 50, abs=0.02)


def test_radio_with_a_tag_before_each_part_is_read_whole() -> None:
    tag = id3_tag()
    one, rate_hz, _ = read(recording("raw.aac"))
    parts = tag + recording("raw.aac") + tag + recording("raw.aac")
    both, _, _ = read(parts)
    assert len(both) / rate_hz == pytest.approx(2 * len(one) / rate_hz, abs=0.07)


def test_a_wav_whose_header_tells_its_encoding_at_its_end_is_read() -> None:
    data = encoded("wav", "ac3", tone(1.0, 48_000, 6))
    assert data[20:22] == b"\xfe\xff"  # extensible
    samples, rate_hz, _ = read(data)
    assert (samples.shape[1], rate_hz) == (6, 48_000)
    assert len(samples) / rate_hz == pytest.approx(1.0, abs=0.1)


def wav_of(aac: bytes, channels: int, code: int = 0x1600, samples: int | None = None) -> bytes:
    """AAC as it is in a WAV, whose header says that a second has a thousand bytes."""
    form = struct.pack("<HHIIHHH", code, channels, 48_000, 1000, 1, 16, 0)
    chunks = [(b"fmt ", form), (b"data", aac)]
    if samples is not None:
        chunks.insert(1, (b"fact", struct.pack("<I", samples)))
    body = b"".join(
        name + struct.pack("<I", len(what)) + what + bytes(len(what) % 2) for name, what in chunks
    )
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WAVE" + body


@pytest.mark.parametrize("channels", [1, 2, 6])
@pytest.mark.parametrize("samples", [None, 0, 96_000])
def test_aac_in_wav_is_read_whatever_bit_rate_its_header_tells(
    channels: int, samples: int | None
) -> None:
    aac = encoded("adts", "aac", tone(2.0, 48_000, channels))
    found, rate_hz, _ = read(wav_of(aac, channels, samples=samples))
    assert (found.shape[1], rate_hz) == (channels, 48_000)
    assert len(found) / rate_hz == pytest.approx(2.05, abs=0.06)
    assert pitch_of(found[24_000:72_000, 0], rate_hz) == pytest.approx(440, abs=1.5)


@pytest.mark.parametrize("samples", [None, 96_000])
def test_aac_in_wav_that_is_cut_short_or_damaged_is_told(samples: int | None) -> None:
    aac = encoded("adts", "aac", tone(2.0, 48_000, 2))
    whole = wav_of(aac, 2, samples=samples)
    rng = np.random.default_rng(0)
    half = len(whole) // 2
    for data in (whole[:half], whole[:half] + rng.bytes(400) + whole[half + 400 :]):
        with pytest.raises(AudioError, match="damaged or cut short"):
            read(data)


def test_aac_in_wav_that_is_shorter_than_it_states_is_cut_short() -> None:
    aac = encoded("adts", "aac", tone(2.0, 48_000))
    with pytest.raises(AudioError, match=r"damaged or cut short \(2\.\d s of 4\.0 s are there\)"):
        read(wav_of(aac, 1, samples=192_000))


@pytest.mark.parametrize("channels", [1, 2, 6])
def test_aac_in_wav_without_heads_of_frames_is_refused_by_name(channels: int) -> None:
    """FFmpeg writes it so, and cannot read it again."""
    data = encoded("wav", "aac", tone(2.0, 48_000, channels))
    with pytest.raises(AudioError, match=r"holds AAC without a head .*: convert it to M4A, FLAC"):
        read(data)


def test_another_kind_of_aac_in_wav_is_refused_by_name() -> None:
    aac = encoded("adts", "aac", tone(1.0, 48_000))
    with pytest.raises(AudioError, match="is encoded as aac_latm, which is not read"):
        read(wav_of(aac, 1, code=0x1602))


def test_a_film_without_sound_is_told() -> None:
    for data in (film(), film("webm", "libvpx"), film("matroska")):
        with pytest.raises(AudioError, match="holds no sound"):
            read(data)


@pytest.mark.parametrize("form", ["mp4", "matroska"])
def test_two_tracks_are_two_people(form: str) -> None:
    both = encoded(form, "aac", tone(1.0, 16_000), tone(1.0, 16_000), rate_hz=16_000)
    with pytest.raises(AudioError, match=r"2 tracks of sound.*different people: keep one"):
        read(both)


def test_a_channel_of_several_is_chosen(tmp_path: Path) -> None:
    path = tmp_path / "cinema.m4a"
    path.write_bytes(encoded("ipod", "aac", tone(2.0, 48_000, 6, 100.0)))
    with pytest.raises(AudioError, match=r"has 6 channels.*choose one with --channel 0 to 5"):
        read_audio(path)
    for channel in (0, 1, 2):
        found = read_audio(path, channel=channel)
        assert pitch_of(found.waveform[8000:24_000], 16_000) == pytest.approx(
            100 * (channel + 1), abs=2
        )


def test_pictures_beside_the_sound_are_passed_over(tmp_path: Path) -> None:
    av = library()
    path = tmp_path / "call.mp4"
    with av.open(str(path), "w") as container:
        video, audio = container.add_stream("mpeg4", rate=10), container.add_stream("aac", 16_000)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        for stream, frames in (
            (video, [av.VideoFrame(64, 48, "yuv420p") for _ in range(20)]),
            (audio, [frame_of(tone(2.0, 16_000), 16_000, "mono")]),
        ):
            for frame in (*frames, None):
                for packet in stream.encode(frame):
                    container.mux(packet)
    assert read_audio(path).duration_s == pytest.approx(2.0, abs=0.1)


def test_a_recording_in_fragments_is_read(tmp_path: Path) -> None:
    """As Safari's MediaRecorder makes it, which states no length."""
    moves = "frag_keyframe+empty_moov+default_base_moof"
    data = encoded("mp4", "aac", tone(3.0, 48_000), movflags=moves)
    samples, rate_hz, warnings = read(data)
    assert len(samples) / rate_hz == pytest.approx(3.0, abs=0.05)
    assert warnings == ()
    with pytest.raises(AudioError, match="are there"):
        read(data[:-900])


def test_pauses_in_the_times_are_silence() -> None:
    """A call in which the microphone was off for a while: the container says when it was on."""
    av, buffer = library(), io.BytesIO()
    with av.open(buffer, "w", format="webm") as container:
        stream = container.add_stream("libopus", rate=48_000, layout="mono")
        for start_s in (0.0, 6.0):
            encoder = av.CodecContext.create("libopus", "w")
            encoder.sample_rate, encoder.layout, encoder.format = 48_000, "mono", "s16"
            for packet in encoder.encode(frame_of(tone(1.0, 48_000), 48_000, "mono")):
                packet.stream, packet.time_base = stream, Fraction(1, 48_000)
                packet.pts = packet.dts = (packet.pts or 0) + round(start_s * 48_000)
                container.mux(packet)
    samples, rate_hz, _ = read(buffer.getvalue())
    assert len(samples) / rate_hz == pytest.approx(7.0, abs=0.1)
    assert not samples[2 * rate_hz : 5 * rate_hz].any()


def test_a_playlist_or_a_list_of_files_is_no_recording(tmp_path: Path) -> None:
    (tmp_path / "secret.wav").write_bytes(recording("old.mp3"))
    for text in (
        "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nsecret.wav\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile secret.wav\n",
        "<MPD><BaseURL>http://127.0.0.1:9/</BaseURL></MPD>",
    ):
        (tmp_path / "list.mp4").write_text(text)
        with pytest.raises(AudioError, match="not a sound file"):
            read_audio(tmp_path / "list.mp4")


def test_without_the_extra_it_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    monkeypatch.setattr("engine.audio.recording.available", lambda: False)
    (tmp_path / "note.m4a").write_bytes(recording("phone.m4a"))
    with pytest.raises(
        MediaMissing, match=r'note\.m4a: MP4 needs .* pip install "voxwatch\[media\]"'
    ):
        read_audio(tmp_path / "note.m4a")
    samples, rate_hz, _ = read(recording("old.mp3"))  # as far as libsndfile reads it
    assert len(samples) / rate_hz == pytest.approx(2.0, abs=0.1)
