"""All of the sound in a file is read, or the file is refused: joined files, wrong headers."""

from __future__ import annotations

import contextlib
import io
import itertools
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from numpy.typing import NDArray
from ogg_pages import numbered
from sound_files import RATE, encoded, id3_tag, mp3_in_wav, read, sound, wav

from engine.audio.files import read_audio
from engine.audio.recording import Recording
from engine.audio.signatures import mp3_frame
from engine.errors import AudioError

Float32 = NDArray[np.float32]
SHARED = Path(__file__).parents[4] / "shared" / "cases"


@pytest.mark.parametrize("form", ["OPUS", "VORBIS", "FLAC", "MP3", "WAV"])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_joined_files_are_read_to_their_end(form: str, count: int) -> None:
    lengths = [2.0, 3.0, 1.0][:count]
    joined = b"".join(encoded(form, s, seed) for seed, s in enumerate(lengths))
    seconds, warnings = read(joined)
    assert seconds == pytest.approx(sum(lengths), abs=0.25 * count)
    assert [f"holds {count} recordings" in words for words in warnings] == [True] * (count > 1)


@pytest.mark.parametrize("form", ["OPUS", "FLAC", "WAV"])
def test_the_second_of_two_joined_files_is_the_sound_of_the_second(form: str) -> None:
    with Recording(encoded(form, 1.0, 1) + encoded(form, 1.0, 2)) as recording:
        whole = np.concatenate([block[:, 0] for block in recording.blocks(4096)])
    alone, _ = sf.read(io.BytesIO(encoded(form, 1.0, 2)), dtype="float32")
    np.testing.assert_allclose(whole[-len(alone) :], alone, atol=1e-6)


def test_joined_files_of_several_rates_are_refused() -> None:
    with pytest.raises(AudioError, match="several rates"):
        read(encoded("FLAC", 1.0) + encoded("FLAC", 1.0, rate=44_100))


UNLIKE = ("OPUS", "FLAC", "MP3", "WAV", "AIFF", "CAF", "AU", "RF64", "W64")


@pytest.mark.parametrize(("first", "second"), [*itertools.permutations(UNLIKE, 2)])
def test_joined_files_of_unlike_forms_are_refused(first: str, second: str) -> None:
    for seconds in (1.0, 4.0):
        with pytest.raises(AudioError, match=r"not read as one .* take them apart"):
            read(encoded(first, seconds) + encoded(second, 2.0, 1))


@pytest.mark.parametrize("first", ["OPUS", "FLAC", "WAV"])
def test_an_mp3_with_a_tag_after_another_form_is_refused(first: str) -> None:
    tag = id3_tag()
    with pytest.raises(AudioError, match="MP3 begins at byte"):
        read(encoded(first, 2.0) + tag + encoded("MP3", 2.0))


@pytest.mark.parametrize("form", ["OPUS", "VORBIS", "FLAC", "MP3"])
@pytest.mark.parametrize("count", [1, 2])
def test_a_tag_in_front_is_no_sound(form: str, count: int) -> None:
    tag = id3_tag(144)
    seconds, warnings = read(count * tag + encoded(form, 2.0))
    assert (seconds, warnings) == (pytest.approx(2.0, abs=0.1), ())


@pytest.mark.parametrize("before", [b"\xef\xbb\xbf", b"HTTP/1.1 200 OK\r\n\r\n", bytes(7)])
@pytest.mark.parametrize("form", ["WAV", "FLAC", "OPUS", "AIFF"])
def test_what_stands_before_a_recording_is_named_with_its_place(before: bytes, form: str) -> None:
    with pytest.raises(AudioError, match=f"begins at byte {len(before)}: take away what stands"):
        read(before + encoded(form, 2.0))


def test_a_recording_in_an_archive_is_to_be_taken_out() -> None:
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as archive:
        archive.writestr("sound.wav", encoded("WAV", 2.0))
    with pytest.raises(AudioError, match="a ZIP archive is not read: take out the recording"):
        read(whole.getvalue())


@pytest.mark.parametrize("after", [b"TAG" + bytes(125), bytes(300), b"APETAGEX" + bytes(200)])
@pytest.mark.parametrize("form", ["OPUS", "FLAC", "MP3"])
def test_what_is_appended_and_no_recording_is_left_out(form: str, after: bytes) -> None:
    assert read(encoded(form, 2.0) + after) == (pytest.approx(2.0, abs=0.02), ())


def test_the_head_of_a_wav_that_a_flac_keeps_is_no_recording() -> None:
    # As `flac --keep-foreign-metadata` does.
    whole, kept = encoded("FLAC", 2.0), b"riff" + encoded("WAV", 2.0)[:44]
    block = b"\x02" + len(kept).to_bytes(3, "big") + kept
    first = 4 + 4 + 34  # the mark, and the one block that has to come first
    assert whole[4] == 0  # which is not the last
    assert read(whole[:first] + block + whole[first:]) == (2.0, ())


def test_a_tone_that_repeats_the_head_of_an_mp3_is_sound() -> None:
    for data in (None, 0, 32_000):
        whole = bytearray(wav(4.0, data=data))
        frame = mp3_frame(b"\xff\xfb\x90\x00")
        assert frame is not None
        for at in range(46 + frame, len(whole) - 4, frame):
            whole[at : at + 4] = b"\xff\xfb\x90\x00"
        assert read(bytes(whole))[0] == 4.0


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 24_000, 44_100, 48_000])
@pytest.mark.parametrize("lengths", [(2.0, 3.0), (0.5, 0.6), (2.17, 2.2), (1.0, 1.0, 1.0)])
def test_joined_mp3s_are_exactly_as_long_as_they_were(
    rate: int, lengths: tuple[float, ...]
) -> None:
    each = [encoded("MP3", s * rate / RATE, seed, rate) for seed, s in enumerate(lengths)]
    alone = sum(read(one)[0] for one in each)
    assert read(b"".join(each))[0] == pytest.approx(alone, abs=0.002)


def id3v2(size: int) -> bytes:
    return (
        b"ID3\x03\x00\x00" + bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0)) + bytes(size)
    )


def ape(items: int) -> bytes:
    head, foot = (
        b"APETAGEX" + struct.pack("<IIII", 2000, items + 32, 1, flags << 29) + bytes(8)
        for flags in (5, 4)
    )
    return head + bytes(items) + foot


TAGS = {
    "ID3v1": b"TAG" + b"a title".ljust(125, b"\0"),
    "ID3v2": id3v2(2000),
    "APE": ape(300),
    "APE, foot alone": ape(0)[32:],
    "ID3v1 and ID3v2": b"TAG" + bytes(125) + id3v2(40),
}


@pytest.mark.parametrize("tag", TAGS)
def test_tags_between_and_behind_mp3s_are_no_damage(tag: str) -> None:
    each = [encoded("MP3", 2.0), encoded("MP3", 3.0, 1)]
    seconds, warnings = read(each[0] + TAGS[tag] + each[1] + TAGS[tag])
    assert seconds == pytest.approx(5.0, abs=0.002)
    assert [words for words in warnings if "damaged" in words] == []
    assert read(each[0] + TAGS[tag])[1] == ()


def test_what_lacks_between_mp3s_is_still_damage() -> None:
    torn = encoded("MP3", 2.0) + bytes(500) + encoded("MP3", 3.0, 1)
    assert any("damaged" in words for words in read(torn)[1])


@pytest.mark.parametrize(
    "form", ["OPUS", "VORBIS", "FLAC", "MP3", "WAV", "W64", "AIFF", "CAF", "AU"]
)
def test_a_file_that_is_cut_within_its_head_is_refused_or_holds_little(form: str) -> None:
    whole = encoded(form, 0.5)
    for size in range(1, 110):
        with contextlib.suppress(AudioError):
            assert read(whole[:size])[0] < 0.1


@pytest.mark.parametrize("form", ["W64", "RF64", "AIFF", "CAF", "AU"])
def test_joined_files_of_which_only_the_first_is_read_are_refused(form: str) -> None:
    joined = encoded(form, 1.0) + encoded(form, 2.0, 1)
    with pytest.raises(AudioError, match=r"not read as one .* take them apart"):
        read(joined)


EMPTY = {form: encoded(form, 0.0) for form in ("WAV", "FLAC", "VORBIS", "AIFF", "W64", "CAF", "AU")}
EMPTY["a list follows"] = wav(0.0) + b"LIST\x04\x00\x00\x00INFO"


@pytest.mark.parametrize("form", EMPTY)
def test_a_file_without_a_sample_is_refused(form: str) -> None:
    with pytest.raises(AudioError, match=r"holds no samples|not a sound file|cut short"):
        read(EMPTY[form])


def test_one_sample_is_sound() -> None:
    assert read(encoded("WAV", 1 / RATE))[0] == 1 / RATE


UNREAD = {
    "WavPack": (b"wvpk\x32\x00\x00\x00", "a WavPack file is not read"),
    "TTA": (b"TTA1\x01\x00", "a TTA file is not read"),
    "Flash": (b"FLV\x01\x04", "Flash video is not read"),
    "bytes": (b"\x9a\x03", "not a sound file that can be read"),
}


@pytest.mark.parametrize("name", UNREAD)
def test_what_is_not_read_is_named_as_far_as_it_is_known(name: str) -> None:
    head, told = UNREAD[name]
    with pytest.raises(AudioError, match=told) as refused:
        read(head + np.random.default_rng(1).integers(0, 256, 4000, np.uint8).tobytes())
    assert "Error : bad" not in str(refused.value)
    assert "convert it to WAV" in str(refused.value)


def test_mp3_in_a_wav_is_read(capfd: pytest.CaptureFixture[str]) -> None:
    assert read(mp3_in_wav(sound(3.0)))[0] == pytest.approx(3.0, abs=0.2)
    assert capfd.readouterr() == ("", "")


def test_mp3_in_a_wav_that_is_cut_is_refused(capfd: pytest.CaptureFixture[str]) -> None:
    whole = mp3_in_wav(sound(3.0))
    for share in (0.3, 0.61, 0.9):
        with pytest.raises(AudioError, match="cut short"):
            read(whole[: round(len(whole) * share)])
    assert capfd.readouterr() == ("", "")


def test_a_dead_recorders_file_and_another_are_taken_apart() -> None:
    seconds, warnings = read(wav(2.0, data=0) + wav(1.0))
    assert seconds == 3.0
    assert "holds 2 recordings" in warnings[0]
    assert "states 0.0 s, and all 2.0 s were read" in warnings[1]


@pytest.mark.parametrize("form", ["WAV", "FLAC", "OGG"])
def test_a_file_made_of_beginnings_is_refused(form: str) -> None:
    # 1 MB of them would else be tens of thousands of recordings, each of which is opened.
    one = {
        "WAV": wav(0.0),
        "FLAC": b"fLaC\x00\x00\x00\x22",
        "OGG": b"".join(numbered(b"OggS\x00" + bytes([flags]) + bytes(21), 0) for flags in (2, 4)),
    }[form]
    with pytest.raises(AudioError, match="more than 1000 recordings"):
        Recording(one * (1_000_000 // len(one)))


@pytest.mark.parametrize("form", ["OPUS", "FLAC"])
def test_a_joined_file_that_is_cut_is_refused(form: str) -> None:
    joined = encoded(form, 2.0) + encoded(form, 2.0, 1)
    with pytest.raises(AudioError, match="damaged or cut short"):
        read(joined[:-1000])


@pytest.mark.parametrize(
    ("data", "riff"), [(0, 0), (0, 36), (0, None), (32_000, 32_036), (0xFFFF_FFFF, 0)]
)
def test_a_length_that_is_lacking_or_old_is_read_to_the_end(data: int, riff: int | None) -> None:
    seconds, warnings = read(wav(4.0, data=data, riff=riff))
    assert seconds == 4.0
    assert len(warnings) == (data != 0xFFFF_FFFF)  # as a program that writes to a pipe states
    assert all("all 4.0 s were read" in words for words in warnings)


@pytest.mark.parametrize("data", [0x7FFF_F000, 0x7FFF_FFFF - 36, 0x7FFF_FFFF, 0x8000_0000])
def test_a_length_that_stands_for_an_unknown_one_is_read_to_the_end(data: int) -> None:
    assert read(wav(4.0, data=data, riff=data + 36)) == (4.0, ())


def test_joined_files_of_unknown_length_are_taken_apart() -> None:
    piece = wav(2.0, data=0xFFFF_FFFF, riff=0xFFFF_FFFF)
    seconds, warnings = read(3 * piece)
    assert seconds == 6.0  # the two headers inside are no sound
    assert [words.endswith("all are read") for words in warnings] == [True]


@pytest.mark.parametrize("chunk", [b"LIST", b"bext", b"pad "])
@pytest.mark.parametrize("data", [None, 0, 0xFFFF_FFFF])
def test_what_stands_before_the_sound_is_left_out(chunk: bytes, data: int | None) -> None:
    extra = chunk + struct.pack("<I", 200_001) + bytes(200_002)
    whole = wav(2.0, data=data)
    assert read(whole[:36] + extra + whole[36:])[0] == 2.0


def test_all_readers_say_the_same(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "dead.wav"
    path.write_bytes(wav(4.0, data=0, riff=0))
    assert read_audio(path).duration_s == 4.0
    assert "all 4.0 s were read" in caplog.text


def test_the_decoder_says_nothing_on_standard_error(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path, tag = tmp_path / "odd.mp3", id3_tag(10)
    path.write_bytes(tag + encoded("MP3", 2.0) + b"\x00garbage" * 50 + encoded("MP3", 2.0, 1))
    with Recording(path) as recording:
        assert sum(len(block) for block in recording.blocks(4096)) > 3.5 * RATE
    assert capfd.readouterr().err == ""


CASES: dict[str, Callable[[float], bool]] = {
    "chained_owner_then_stranger.ogg": lambda s: s > 15,
    "chained_owner_then_stranger.flac": lambda s: s > 15,
    "unfinalised_data0.wav": lambda s: s == pytest.approx(10.0, abs=0.01),
    "android_header_44_too_long.wav": lambda s: s == pytest.approx(10.0, abs=0.01),
}


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared recordings are not here")
@pytest.mark.parametrize("name", CASES)
def test_recordings_that_went_wrong_once_are_read_whole(name: str) -> None:
    seconds, warnings = read((SHARED / name).read_bytes())
    assert CASES[name](seconds), seconds
    assert len(warnings) == 1


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared recordings are not here")
def test_the_copy_that_was_cut_is_refused() -> None:
    with pytest.raises(AudioError, match=r"6\.0 s of 16\.0 s are there"):
        read((SHARED / "truncated_copy.wav").read_bytes())
