"""What begins as a file, or as another protocol, is no raw PCM: told by its first bytes."""

from __future__ import annotations

from engine.audio.services import service

HEAD_BYTES = 4096  # of a stream, by which it is told
LEAST_TEXT, LEAST_LETTERS = 512, 12  # bytes that are all text, and several: no sound is
# Digits, decimal or hexadecimal, with what stands between them in lists: no sound is these alone.
OF_NUMBERS, LEAST_DIGITS = frozenset(b"0123456789abcdefABCDEFx\\,;:-+.[]()' \t\r\n"), 2
# A packet of an MPEG transport stream, and how its first one begins (ISO/IEC 13818-1, 2.4.3.2).
TS_BYTES, TS_FIRST = 188, (b"\x47\x40\x00", b"\x47\x40\x11")

FILE = "decode it first, or send the file with `voxwatch stream FILE` or POST /v1/verify"
OPUS = f"start with encoding=opus if it is Opus, or {FILE}"
# At which place of the first bytes which bytes lie, and what that is.
MARKS: tuple[tuple[int, bytes, str], ...] = (
    (0, b"RIFF", "a WAV file (RIFF)"),
    (0, b"RF64", "a WAV file (RF64)"),
    (0, b"RIFX", "a WAV file (RIFX)"),
    (0, b"riff\x2e\x91\xcf\x11", "a Wave64 file"),
    (0, b"OggS", "an Ogg file (Opus or Vorbis)"),
    (0, b"fLaC", "a FLAC file"),
    (0, b"ID3", "an MP3 file (ID3)"),
    (0, b"\x1a\x45\xdf\xa3", "WebM or Matroska (EBML), as a browser's MediaRecorder makes it"),
    (0, b"\x1f\x43\xb6\x75", "a later part of WebM, as a browser's MediaRecorder makes it"),
    (4, b"ftyp", "an MP4 or M4A file"),
    (0, b"FORM", "an AIFF file"),
    (0, b"caff", "a CAF file"),
    (0, b".snd", "an AU file"),
    (0, b"#!AMR", "an AMR file"),
    (0, b"wvpk", "a WavPack file"),
    (0, b"TTA1", "a TTA file"),
    (0, b"MAC ", "a Monkey's Audio file"),
    (0, b"MThd", "a MIDI file"),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "a WMA file (ASF)"),
    (0, b"NIST_1A\n", "a NIST SPHERE file"),
    (0, b"Creative Voice File\x1a", "a VOC file"),
    (0, b"FLV\x01", "Flash video"),
    (0, b"\x00\x00\x01\xba", "an MPEG program stream"),
    (0, b"PK\x03\x04", "a ZIP archive"),
    (0, b"\x1f\x8b\x08", "data compressed by gzip"),
)
OF_OPUS = (b"OggS", b"\x1a\x45\xdf\xa3", b"\x1f\x43\xb6\x75")
# MPEG-1 layer III and MPEG-2 layer III: bit rates in kbit/s by their index, rates in Hz.
MP3_KBPS = {
    3: (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    2: (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
MP3_HZ = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}


def foreign(head: bytes) -> tuple[str, str] | None:
    """What begins with ``head`` and is no PCM, and what to do; None: nothing is known."""
    if (message := service(head)) is not None:
        return message
    for place, mark, name in MARKS:
        if len(head) >= place + len(mark) and head[place : place + len(mark)] == mark:
            return name, OPUS if mark in OF_OPUS else FILE
    if _is_mp3(head):
        return "an MP3 file", FILE
    if _is_aac(head):
        return "AAC (ADTS)", FILE
    if _is_ts(head):
        return "an MPEG transport stream", FILE
    if _is_text(head):
        return "text, perhaps base64", "decode it, and send its bytes as binary messages"
    return None


def _is_ts(head: bytes) -> bool:
    """Packets in a row, of a table of programs or services first: levels repeat themselves, too."""
    marks = head[: 2 * TS_BYTES + 1 : TS_BYTES]
    return head.startswith(TS_FIRST) and marks == head[:1] * 3


def _is_text(head: bytes) -> bool:
    letters = set(head)
    if len(head) < LEAST_TEXT or len(letters) < LEAST_DIGITS:
        return False
    if letters <= OF_NUMBERS:
        return True
    several = len(letters) >= LEAST_LETTERS
    return several and all(32 <= code < 127 or code in b"\t\r\n" for code in letters)


def _is_mp3(head: bytes) -> bool:
    """Two frames of MP3 in a row: one header alone may be sound."""
    length = mp3_frame(head[:4])
    return length is not None and mp3_frame(head[length : length + 4]) is not None


def mp3_frame(header: bytes) -> int | None:
    """The length in bytes of a frame of layer III."""
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE6 != 0xE2:
        return None
    version, rate, place = header[1] >> 3 & 3, header[2] >> 2 & 3, header[2] >> 4
    if version == 1 or rate == 3 or not 1 <= place <= 14:
        return None
    kbps = MP3_KBPS[3 if version == 3 else 2][place - 1]
    samples = 144 if version == 3 else 72
    return samples * 1000 * kbps // MP3_HZ[version][rate] + (header[2] >> 1 & 1)


def _is_aac(head: bytes) -> bool:
    length = aac_frame(head[:6])
    return length is not None and aac_frame(head[length : length + 6]) is not None


def aac_frame(header: bytes) -> int | None:
    """The length in bytes of a frame of AAC with its head (ADTS)."""
    if len(header) < 6 or header[0] != 0xFF or header[1] & 0xF6 != 0xF0:
        return None
    length = (header[3] & 3) << 11 | header[4] << 3 | header[5] >> 5
    return length if length > 7 else None
