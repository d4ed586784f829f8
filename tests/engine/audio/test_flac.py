"""FLAC whose header states no number of samples, or the wrong one: all of the sound is read."""

from __future__ import annotations

import pytest
from sound_files import RATE, encoded, read

from engine.audio import beginnings, flac
from engine.audio.flac import flac_parts
from engine.errors import AudioError

STATED_AT = 21  # in five bytes from there on lie 36 bits with the number of samples


def stating(data: bytes, samples: int) -> bytes:
    """The same file with another number of samples in its header."""
    code = int.from_bytes(data[STATED_AT : STATED_AT + 5], "big") >> 36 << 36 | samples
    return data[:STATED_AT] + code.to_bytes(5, "big") + data[STATED_AT + 5 :]


def frame(number: bytes, variable: bool = False, size_rate: int = 0xC5, coded: int = 8) -> bytes:
    """The header of a frame of 4096 samples, mono of 16 bits, with its sum, by shifts."""
    head = bytes([0xFF, 0xF8 | variable, size_rate, coded]) + number
    rest = int.from_bytes(head + b"\0", "big")
    for bit in range(8 * len(head) + 7, 7, -1):
        if rest >> bit & 1:
            rest ^= 0x107 << bit - 8
    return head + bytes([rest])


def of_frames(*frames: bytes, stated: int = 0) -> bytes:
    fields = 16_000 << 44 | 15 << 36 | stated
    about = bytes.fromhex("10001000") + bytes(6) + fields.to_bytes(8, "big")
    return b"fLaC\x80\x00\x00\x22" + about + bytes(16) + b"".join(one + bytes(99) for one in frames)


def counted(data: bytes) -> int:
    """The number of samples by the last frame of the last of the recordings."""
    *_, (part, _) = flac_parts(data)
    return int.from_bytes(part.patches[0][1], "big") & (1 << 36) - 1


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The lengths of what was taken for the header of a frame."""
    told: list[int] = []
    true = flac._frame

    def noted(head: bytes, usual: int) -> flac.Frame | None:
        told.append(len(head))
        return true(head, usual)

    monkeypatch.setattr(flac, "_frame", noted)
    return told


@pytest.mark.parametrize("seconds", [0.1, 4.0, 20.0])
def test_what_was_written_to_a_pipe_is_read_whole(seconds: float) -> None:
    assert read(stating(encoded("FLAC", seconds), 0)) == (pytest.approx(seconds), ())


def test_recordings_of_unknown_length_that_are_joined_are_read_whole() -> None:
    joined = b"".join(stating(encoded("FLAC", s, seed), 0) for seed, s in enumerate((2.0, 3.0)))
    seconds, warnings = read(joined + b"TAG" + bytes(125))
    assert seconds == 5.0
    assert [words.partition(": ")[2] for words in warnings] == [
        "holds 2 recordings, one after the other: all are read"
    ]


@pytest.mark.parametrize("stated_s", [0.5, 3.9])
def test_a_number_that_is_too_small_is_told_and_all_is_read(stated_s: float) -> None:
    seconds, (words,) = read(stating(encoded("FLAC", 4.0), round(stated_s * RATE)))
    assert seconds == 4.0
    assert words.endswith(f"states {stated_s} s, and all 4.0 s were read")


def test_a_number_that_is_too_large_is_refused_with_both() -> None:
    with pytest.raises(AudioError, match=r"4\.0 s of 60\.0 s are there"):
        read(stating(encoded("FLAC", 4.0), 60 * RATE))


@pytest.mark.parametrize("stated", [0, 4 * RATE])
def test_a_file_that_is_cut_in_a_frame_is_refused(stated: int) -> None:
    whole = stating(encoded("FLAC", 4.0), stated)
    with pytest.raises(AudioError, match="damaged or cut short"):
        read(whole[: len(whole) - 500])


@pytest.mark.parametrize(
    ("frames", "samples"),
    [
        ((b"\x00", b"\x01", b"\x02"), 3 * 4096),
        ((b"\x00", b"\xc2\x80"), 129 * 4096),  # 128
        ((b"\x00", b"\xe1\x80\x80"), 4097 * 4096),  # 4096
        ((b"\x00", b"\xf0\x90\x80\x80"), 65_537 * 4096),  # 65536
    ],
)
def test_frames_are_counted_by_their_numbers(frames: tuple[bytes, ...], samples: int) -> None:
    ((part, _),) = flac_parts(of_frames(*map(frame, frames)))
    ((at, code),) = part.patches
    assert (at, int.from_bytes(code, "big") & (1 << 36) - 1) == (STATED_AT, samples)


def test_frames_of_any_size_tell_the_sample_they_begin_with() -> None:
    first, last = frame(b"\x00", variable=True), frame(b"\xe1\x80\x80", variable=True)
    ((part, _),) = flac_parts(of_frames(first, last))
    assert int.from_bytes(part.patches[0][1], "big") & (1 << 36) - 1 == 4096 + 4096


SPOILT = frame(b"\x09")[:-1] + bytes([frame(b"\x09")[-1] ^ 1])
OTHERS = {
    "a wrong sum": SPOILT,
    "another rate": frame(b"\x09", size_rate=0xC4),
    "other bits": frame(b"\x09", coded=0x0C),
    "a reserved bit": frame(b"\x09", coded=0x09),
    "counted otherwise": frame(b"\x09", variable=True),
}


@pytest.mark.parametrize("other", OTHERS)
def test_what_only_looks_like_a_frame_is_none(other: str) -> None:
    assert counted(of_frames(frame(b"\x00"), frame(b"\x05"), OTHERS[other])) == 6 * 4096


@pytest.mark.parametrize("coded", [0x18, 0x88, 0x98, 0xA8])
def test_channels_of_a_frame_may_be_coded_otherwise(coded: int) -> None:
    assert counted(of_frames(frame(b"\x00"), frame(b"\x09", coded=coded))) == 10 * 4096


@pytest.mark.parametrize("number", [b"\x02", b"\x70"])
def test_sound_that_looks_like_a_frame_does_not_hide_the_stated_end(number: bytes) -> None:
    frames = [frame(bytes([n])) for n in range(6)]
    ((part, words),) = flac_parts(of_frames(*frames, frame(number), stated=6 * 4096))
    assert (part.patches, words) == ((), "")


@pytest.mark.parametrize("more", [1, 2, 3, 9])
def test_frames_that_go_on_from_the_stated_end_are_heard(more: int) -> None:
    frames = [frame(bytes([n])) for n in range(6 + more)]
    assert counted(of_frames(*frames, stated=6 * 4096)) == (6 + more) * 4096


@pytest.mark.parametrize("away", [1, 2])
def test_the_last_frame_is_found_wherever_it_lies(away: int) -> None:
    whole = of_frames(frame(b"\x00"), frame(b"\x05"))
    for more in range(-120, -80):
        assert counted(whole + bytes(away * flac.PIECE_BYTES + more)) == 6 * 4096


def test_only_the_last_frames_are_looked_at(looks: list[int]) -> None:
    frames = (frame(bytes([n])) for n in range(100))
    assert counted(of_frames(*frames)) == 100 * 4096
    assert len(looks) <= 1 + flac.MOST_LAST


def test_bytes_made_to_look_like_frames_are_soon_given_up(looks: list[int]) -> None:
    hostile = of_frames(frame(b"\x00")) + SPOILT[:4] * 50_000
    ((part, words),) = flac_parts(hostile)
    assert (part.patches, words) == ((), "")
    assert len(looks) <= 2 + flac.MOST_WRONG
    looks.clear()
    assert len(list(flac_parts(hostile * 3))) == 3  # whose first frames alone are looked at then
    assert len(looks) <= 2 * 3 + flac.MOST_WRONG


def test_marks_of_frames_alone_are_not_looked_at(looks: list[int]) -> None:
    assert len(list(flac_parts(of_frames(frame(b"\x00")) + b"\xff\xf8" * 100_000))) == 1
    assert len(looks) <= 4


def test_bytes_made_to_look_like_an_mp3_are_soon_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[int] = []
    monkeypatch.setattr(
        beginnings, "check_frames_at", lambda data, start, own: looked.append(start)
    )
    size = 400_000
    beginnings.check_frames(b"\xff\xfb" * (size // 2), 0, size)
    assert len(looked) == beginnings.LEAST_SYNCS + size // beginnings.BYTES_PER_SYNC


def test_frames_that_are_not_understood_leave_the_file_as_it_is() -> None:
    ((part, words),) = flac_parts(of_frames(b"\xff\xf8\xc5\x08\x00\x00"))
    assert (part.patches, words) == ((), "")
