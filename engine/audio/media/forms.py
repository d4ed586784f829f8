"""Forms of files that PyAV reads, told by their first bytes and never by a name."""

from __future__ import annotations

from dataclasses import dataclass

from engine.audio import ebml
from engine.audio.beginnings import after_tags
from engine.audio.containers import Buffer, little, riff_chunks, wav_code
from engine.audio.signatures import aac_frame, mp3_frame


@dataclass(frozen=True, slots=True)
class Form:
    """What people call it, and the one demuxer that may read it.

    ``first``: libsndfile does not read it, or badly. ``states``: its header says how long it is.
    """

    name: str
    demuxer: str
    first: bool = True
    states: bool = True


WEBM, MP4 = Form("WebM or Matroska", "matroska"), Form("MP4", "mov")
MP3, AAC = Form("MP3", "mp3", states=False), Form("AAC", "aac", states=False)
AMR, WMA = Form("AMR", "amr", states=False), Form("WMA", "asf")
# In these libsndfile reads most of what there is, but not all.
WAV, CAF = Form("WAV", "wav", first=False), Form("CAF", "caf", first=False)
# Of AAC in WAV the length is known only where a chunk of its own says it: what follows from the bit
# rate in the header is off by as much as the encoder spared.
AAC_CODES = frozenset((0xFF, 0x1600, 0x1602, 0x1610, 0x4143, 0x706D, 0xA106))
WAV_AAC, WAV_AAC_OF_ANY_LENGTH = Form("WAV", "wav"), Form("WAV", "wav", states=False)
OGG = Form("Ogg", "ogg", first=False, states=False)
MARKS = (
    (0, ebml.EBML.to_bytes(4, "big"), WEBM),
    (4, b"ftyp", MP4),
    (0, b"#!AMR", AMR),
    (0, bytes.fromhex("3026b2758e66cf11"), WMA),
    (8, b"WAVE", WAV),
    (0, b"caff", CAF),
    (0, b"OggS", OGG),
)


def form_of(data: Buffer) -> Form | None:
    """The form of a file. ``None``: it is none that PyAV is to read."""
    head = data[:16]
    for place, mark, form in MARKS:
        if head[place : place + len(mark)] == mark:
            return _of_wav(data) if form is WAV else form
    if is_mp3(data):
        return MP3
    return AAC if aac_frame(head[:6]) is not None else None


def _of_wav(data: Buffer) -> Form:
    """libsndfile reads no AAC, and says of it no more than that."""
    if wav_code(data) not in AAC_CODES:
        return WAV
    facts = (little(data, at) for name, at, _ in riff_chunks(data, 12) if name == b"fact")
    return WAV_AAC if next(facts, 0) else WAV_AAC_OF_ANY_LENGTH


def without_tags(data: Buffer) -> Buffer:
    """The same without tags (ID3) before a FLAC, an AAC or an Ogg; an MP3 keeps its own.

    Radio over HTTP has one before each part of AAC, and some write them before FLAC.
    """
    at = after_tags(data, 0)
    head = data[at : at + 16]
    is_another = head[:4] == b"fLaC" or form_of(head) not in (None, MP3)
    return data[at:] if at and is_another else data


def is_mp3(data: Buffer) -> bool:
    """Whether it begins as an MP3 does."""
    return data[:3] == b"ID3" or mp3_frame(data[:4]) is not None
