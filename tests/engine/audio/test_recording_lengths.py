"""A file that does not end where its header says: all of it is read and warned of, or refused."""

from __future__ import annotations

import contextlib
import io
import struct
from collections.abc import Callable

import numpy as np
import pytest
import soundfile as sf
from numpy.typing import NDArray
from sound_files import RATE, encoded, read, sound, wav

from engine.audio.containers import WAV_EXTENSIBLE, fmt_bytes_per_s, wav_code
from engine.errors import AudioError

# How each states the bytes of its sound, and what it counts with them.
STATED = {
    "RF64": ("<Q", 0),
    "RIFX": (">I", 0),
    "AIFF": (">I", 8),
    "AU": (">I", 0),
    "CAF": (">Q", 4),
    "W64": ("<Q", 24),
}


def stating(form: str, stated_s: float | None = None) -> bytes:
    """4 s of sound in a file that says ``stated_s``, or as many."""
    buffer, (kind, more) = io.BytesIO(), STATED[form]
    written, endian = ("WAV", "BIG") if form == "RIFX" else (form, None)
    sf.write(buffer, sound(4.0), RATE, "PCM_16", endian, written)
    if stated_s is None:
        return buffer.getvalue()
    right, wrong = (struct.pack(kind, round(s * 2 * RATE) + more) for s in (4.0, stated_s))
    return buffer.getvalue().replace(right, wrong, 1)


@pytest.mark.parametrize("form", STATED)
def test_other_containers_are_read_whole_or_refused(form: str) -> None:
    assert read(stating(form)) == (4.0, ())
    for stated_s in (3.9, 2.0, 0.5):
        with pytest.raises(AudioError, match=rf"it states {stated_s} s, and .* follow them"):
            read(stating(form, stated_s))
    for stated_s in (4.1, 60.0):
        with pytest.raises(AudioError, match=rf"4.0 s of {stated_s:.1f} s are there"):
            read(stating(form, stated_s))
    with pytest.raises(AudioError, match=r"2\.\d s of 4.0 s are there"):
        read(stating(form)[: len(stating(form)) - 3 * RATE])


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "ULAW"])
def test_a_corpus_file_that_is_cut_is_refused(subtype: str) -> None:
    whole = io.BytesIO()
    sf.write(whole, sound(4.0), RATE, subtype, format="NIST")
    assert read(whole.getvalue()) == (4.0, ())
    with pytest.raises(AudioError, match=r"2\.0 s of 4\.0 s are there"):
        read(whole.getvalue()[: len(whole.getvalue()) // 2])


def test_a_corpus_file_that_states_an_endless_number_is_no_fault_of_ours() -> None:
    whole = io.BytesIO()
    sf.write(whole, sound(4.0), RATE, "PCM_16", format="NIST")
    count = b"sample_count -i "
    before, _, after = whole.getvalue().partition(count)
    data = before + count + b"9" * 5000 + b"\n" + after
    with contextlib.suppress(AudioError):
        read(data)


@pytest.mark.parametrize("subtype", ["G721_32", "G723_24", "G723_40"])
def test_a_file_of_few_bits_a_sample_that_is_cut_is_refused(subtype: str) -> None:
    whole = io.BytesIO()
    sf.write(whole, sound(4.0), RATE, subtype, format="AU")
    assert read(whole.getvalue()) == (pytest.approx(4.0, abs=0.01), ())
    with pytest.raises(AudioError, match=r"2\.0 s of 4\.0 s are there"):
        read(whole.getvalue()[: len(whole.getvalue()) // 2])


@pytest.mark.parametrize("form", ["VOC", "IRCAM", "PAF", "AVR", "SVX", "MAT5"])
def test_of_a_form_that_tells_no_end_that_is_said(form: str) -> None:
    whole = io.BytesIO()
    sf.write(whole, sound(4.0), RATE, "PCM_16", format=form)
    for data in (whole.getvalue(), whole.getvalue()[:RATE]):
        (warning,) = read(data)[1]
        assert f"this form ({form}) tells whether it is whole" in warning


def test_a_wav_that_does_not_say_its_bytes_a_second_is_refused_where_it_is_cut() -> None:
    whole = io.BytesIO()
    sf.write(whole, sound(4.0), RATE, "IMA_ADPCM", format="WAV")
    data = bytearray(whole.getvalue())
    data[28:32] = bytes(4)
    assert read(bytes(data))[0] == pytest.approx(4.0, abs=0.1)
    with pytest.raises(AudioError, match=r"\d+ of \d+ bytes are there"):
        read(bytes(data[: len(data) // 2]))


@pytest.mark.parametrize("rate", [0, 1, 320_000, 0xFFFF_FFF0])
@pytest.mark.parametrize("subtype", ["PCM_16", "FLOAT", "ULAW"])
def test_bytes_a_second_that_are_wrong_hide_no_sound(subtype: str, rate: int) -> None:
    whole = io.BytesIO()
    sf.write(whole, sound(4.0), RATE, subtype, format="WAV")
    data = bytearray(whole.getvalue())
    data[28:32] = struct.pack("<I", rate)
    assert read(bytes(data)) == (4.0, ())
    with pytest.raises(AudioError, match=r"[12]\.\d s of 4\.0 s are there"):
        read(bytes(data[: len(data) // 2]))
    more = bytes(data) + bytes(data)[-len(data) // 2 :]
    seconds, (words,) = read(more)
    assert seconds == pytest.approx(6.0, abs=0.05)
    assert "states 4.0 s, and all 6.0 s were read" in words


@pytest.mark.parametrize("rate", [0, 1, 0xFFFF_FFF0])
@pytest.mark.parametrize("form", ["RIFX", "RF64", "W64"])
def test_bytes_a_second_that_are_wrong_hide_no_lack_of_sound(form: str, rate: int) -> None:
    whole, order = stating(form), ">I" if form == "RIFX" else "<I"
    stated = whole.replace(struct.pack(order, 2 * RATE), struct.pack(order, rate), 1)
    assert stated != whole
    assert read(stated) == (4.0, ())
    with pytest.raises(AudioError, match=r"2\.\d s of 4\.0 s are there"):
        read(stated[: len(stated) - 3 * RATE])


@pytest.mark.parametrize("bits", [0, 8, 16])
def test_a_sample_of_mu_law_has_a_byte_whatever_is_stated(bits: int) -> None:
    fields = struct.pack("<HHIIHH", 7, 1, 8000, 0, 1, bits)
    assert fmt_bytes_per_s(fields) == 8000


def test_samples_without_a_size_have_the_bytes_that_are_stated() -> None:
    fields = struct.pack("<HHIIHH", 1, 1, 8000, 16000, 2, 0)
    assert fmt_bytes_per_s(fields) == 16000


def test_bytes_a_second_of_coded_sound_are_believed_within_bounds() -> None:
    whole = io.BytesIO()
    sf.write(whole, sound(4.0), RATE, "IMA_ADPCM", format="WAV")
    data = bytearray(whole.getvalue())
    data[28:32] = b"\xf0\xff\xff\xff"
    assert read(bytes(data))[0] == pytest.approx(4.0, abs=0.1)
    with pytest.raises(AudioError, match=r"s of [\d.]+ s are there"):
        read(bytes(data[: len(data) // 2]))


@pytest.mark.parametrize("form", ["RF64", "RIFX", "AIFF"])
def test_what_follows_the_sound_is_no_sound(form: str) -> None:
    order = "<I" if form == "RF64" else ">I"
    assert read(stating(form) + b"ID3 " + struct.pack(order, 9000) + bytes(9000)) == (4.0, ())


@pytest.mark.parametrize("form", STATED)
def test_a_torn_header_is_refused_or_holds_nothing(form: str) -> None:
    whole = stating(form)
    for end in range(4, 120, 3):
        seconds = 0.0
        with contextlib.suppress(AudioError):
            seconds, _ = read(whole[:end])
        assert seconds == 0


@pytest.mark.parametrize("excess", [2, 44, 500])
def test_a_length_that_is_a_little_too_large_is_taken(excess: int) -> None:
    seconds, warnings = read(wav(4.0, data=128_000 + excess, riff=128_036 + excess))
    assert seconds == 4.0
    assert [f"{excess} bytes more than there are" in words for words in warnings] == [True]


@pytest.mark.parametrize("stated_s", [1.0, 3.0])
def test_quiet_sound_of_8_bits_behind_the_end_is_no_chunk(stated_s: float) -> None:
    # A recorder that died had stated some of it. What follows looks like letters.
    samples, stated = np.full(4 * RATE, 120, np.uint8), round(stated_s * RATE)
    samples[::2] = 0x79
    header = struct.pack("<4sI8sIHHIIHH", b"RIFF", 0, b"WAVEfmt ", 16, 1, 1, RATE, RATE, 1, 8)
    header += b"data" + struct.pack("<I", stated)
    seconds, (words,) = read(header + samples.tobytes())
    assert seconds == 4.0
    assert f"states {stated_s} s, and all 4.0 s were read" in words


def test_a_last_chunk_that_is_cut_is_no_sound() -> None:
    chunk = b"LIST" + struct.pack("<I", 9000) + b"INFO" + bytes(4000)
    assert read(wav(4.0) + chunk) == (4.0, ())


def test_sound_in_two_pieces_of_which_one_is_read_is_refused() -> None:
    rest = b"data" + struct.pack("<I", 2 * RATE) + bytes(2 * RATE)
    for between in (b"", b"LIST" + struct.pack("<I", 4) + b"INFO"):
        with pytest.raises(AudioError, match="its sound lies in several pieces"):
            read(wav(4.0) + between + rest)


def test_what_is_guessed_of_a_header_that_is_too_short_is_not_read() -> None:
    sound_of_it = wav(4.0)[44:]
    code = b"fmt " + struct.pack("<IHHIIH", 14, 1, 1, RATE, 2 * RATE, 2)  # without its bits
    body = b"WAVE" + code + b"data" + struct.pack("<I", len(sound_of_it)) + sound_of_it
    with pytest.raises(AudioError, match="not a sound file that can be read"):
        read(b"RIFF" + struct.pack("<I", len(body)) + body)


@pytest.mark.parametrize("keep_s", [0.5, 3.0, 3.8])
def test_a_wav_that_is_cut_short_is_refused(keep_s: float) -> None:
    with pytest.raises(AudioError, match=rf"cut short \({keep_s:.1f} s of 4.0 s are there\)"):
        read(wav(4.0)[: 44 + round(keep_s * 32_000)])


@pytest.mark.parametrize("form", ["OPUS", "VORBIS", "FLAC", "MP3"])
@pytest.mark.parametrize("keep", [0.3, 0.7])
def test_other_files_that_are_cut_short_are_refused(form: str, keep: float) -> None:
    whole = encoded(form, 4.0)
    with pytest.raises(AudioError, match="cut short"):
        read(whole[: round(keep * len(whole))])


def test_chunks_after_the_sound_are_no_sound() -> None:
    note = b"LIST" + struct.pack("<I", 4000) + b"INFO" + bytes(3996)
    seconds, warnings = read(wav(2.0) + note)
    assert (seconds, warnings) == (2.0, ())


def test_an_ogg_whose_recorder_died_is_read_with_a_warning() -> None:
    data = encoded("OPUS", 4.0)
    last = data.rindex(b"OggS")
    whole_pages = data[:last] or data
    seconds, (words,) = read(whole_pages)
    assert seconds > 0.5
    assert "did not complete it" in words


def test_a_hole_in_an_ogg_is_refused() -> None:
    data = bytearray(encoded("OPUS", 8.0))
    last = data.rindex(b"OggS")
    with pytest.raises(AudioError, match="damaged"):
        read(bytes(data[: last - 500] + data[last:]))


@pytest.mark.parametrize(
    ("subtype", "code"), [("PCM_16", 1), ("PCM_24", 1), ("FLOAT", 3), ("ULAW", 7), ("ALAW", 6)]
)
def test_the_encoding_is_told_by_an_extensible_header_too(subtype: str, code: int) -> None:
    buffer = io.BytesIO()
    sf.write(buffer, sound(0.5), RATE, format="WAVEX", subtype=subtype)
    assert buffer.getvalue()[20:22] == b"\xfe\xff"
    assert wav_code(buffer.getvalue()) == code
    short = struct.pack("<4sI8sI", b"RIFF", 0, b"WAVEfmt ", 18) + b"\xfe\xff" + bytes(60)
    assert wav_code(short) == WAV_EXTENSIBLE


@pytest.mark.parametrize("form", ["WAV", *STATED])
def test_a_file_that_was_copied_as_text_is_refused_and_says_so(form: str) -> None:
    whole = wav(4.0) if form == "WAV" else stating(form)
    with pytest.raises(AudioError, match="copied as text"):
        read(whole.replace(b"\n", b"\r\n"))


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("seconds", [6.0, 30.0])
def test_a_wav_whose_carriage_returns_are_lacking_is_refused(
    seconds: float, channels: int, voice: Callable[..., NDArray[np.float32]]
) -> None:
    """As FTP makes it in its text mode: behind each of them samples come a byte late."""
    whole = io.BytesIO()
    both = np.stack([voice("anna", seconds), voice("bert", seconds)][:channels], axis=1)
    sf.write(whole, 0.3 * both, 16_000, "PCM_16", format="WAV")
    data = bytearray(whole.getvalue())
    for at in range(len(data) // 3, len(data) - 4000, len(data) // 6):
        data[at : at + 2] = b"\r\n"
    read(bytes(data))
    with pytest.raises(AudioError, match="bytes of its sound are lacking"):
        read(bytes(data).replace(b"\r\n", b"\n"))


@pytest.mark.parametrize("level", [0x0A0D, 0x0D0A, 0x0A0A, 0x0D0D])
def test_sound_that_holds_the_bytes_of_line_ends_is_no_text(level: int) -> None:
    samples = np.tile(np.array([level, -level], np.int16), 2 * RATE)
    for of_it in (samples, np.abs(samples)):
        whole = io.BytesIO()
        sf.write(whole, of_it, RATE, "PCM_16", format="WAV")
        assert read(whole.getvalue()) == (4.0, ())
