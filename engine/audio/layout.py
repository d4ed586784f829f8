"""Where the sound lies in a file: files may be joined, and headers may be wrong about the end.

A recorder that died leaves a length of zero or an old one, some write one that is too large, and
people join recordings by joining their files. libsndfile reads the first of them, or up to
where the header says the end is, and says nothing of the rest.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from engine.audio.beginnings import (
    HEAD_BYTES,
    after_tags,
    check_alike,
    check_frames,
    check_frames_at,
)
from engine.audio.containers import (
    Buffer,
    fmt_bytes_per_s,
    little,
    riff_chunks,
    stated_sound,
)
from engine.audio.flac import flac_parts
from engine.audio.media.forms import WMA, form_of, is_mp3
from engine.audio.media.layouts import media_layout
from engine.audio.ogg import ogg_parts
from engine.audio.parts import Layout, NotWholeError, Part, joined
from engine.audio.signatures import mp3_frame
from engine.audio.suspicion import FormCheck

SPARE_S = 0.02  # Less sound than this may be lacking, or lie where none was stated.
# Programs that write to a pipe state so many bytes or more: sox 0x7FFFF000, others 0x7FFFFFFF less
# a header, or 0xFFFFFFFF.
UNKNOWN_BYTES = 0x7FFF_0000
# Chunks that stand behind the sound of a WAV; of others that seem to go on beyond the end of the
# file, the name is sound: that of 8 bits looks like text wherever it is quiet.
CHUNKS = frozenset((b"LIST", b"id3 ", b"ID3 ", b"bext", b"cue ", b"smpl", b"inst", b"iXML"))
CHUNKS |= {b"JUNK", b"junk", b"PAD ", b"fact", b"PEAK", b"DISP", b"plst", b"cart", b"axml", b"_PMX"}
WAV_START = re.compile(rb"RIFF....WAVEfmt ", re.DOTALL)
ID3V1_BYTES, APE_BYTES = 128, 32  # of a tag; of its head or foot, of which the head says its size
APE_HEAD = 1 << 29  # a flag
# Copied as text, a file has a carriage return before each of its line feeds. So many of them, and
# some that stand alone, are in any half a second of sound.
LEAST_FEEDS, LEAST_RETURNS, FEEDS_BYTES = 32, 8, 1 << 20
MP3_SHARE = 0.99  # An MP3 counts as whole with this share of the frames that it states.


def layout(data: Buffer) -> Layout:
    """Where the sound lies.

    Raises :class:`NotWholeError` where some of it is lacking, and :class:`UnlikeError` where a
    recording of another form follows: to a reader of the first that looks like damage.
    """
    try:
        return _layout(data)
    except NotWholeError as error:
        form = form_of(data)
        if error.after is not None and form is not None:
            check_alike(data, error.after, len(data), form.name)
            check_frames(data, error.after, len(data), form.name)
        raise


def _layout(data: Buffer) -> Layout:
    head = data[:12]
    if head[:4] == b"RIFF" and head[8:] == b"WAVE":
        _check_feeds(data)
        return joined(_wav(data))
    if head[:4] == b"OggS":
        return joined(ogg_parts(data))
    if head[:4] == b"fLaC":
        return joined(flac_parts(data))
    if is_mp3(data):
        return joined(_mp3(data))
    form = form_of(data)
    if form is WMA:
        check_frames(data, HEAD_BYTES, len(data))
    found = None if form is None else media_layout(data, form)
    return _stated(data) if found is None else found


def _check_feeds(data: Buffer) -> None:
    """Raises :class:`NotWholeError` where the file was copied as text, as by FTP in that mode."""
    part = bytes(data[:FEEDS_BYTES])
    feeds, both = part.count(b"\n"), part.count(b"\r\n")
    if LEAST_FEEDS <= feeds == both and part.count(b"\r") - both >= LEAST_RETURNS:
        raise NotWholeError("it was copied as text, which changes bytes of its sound")


def _stated(data: Buffer) -> Layout:
    """A file that is read as far as it states, which has to be as far as it goes."""
    _check_feeds(data)
    found = stated_sound(data)
    first = HEAD_BYTES if form_of(data) is not None else 1
    check_alike(data, first if found is None else found.start, len(data), "")
    if found is not None and found.size is not None:
        there, spare = len(data) - found.start, SPARE_S * found.bytes_per_s
        stated_s = found.size / found.bytes_per_s
        if found.size > there + spare:
            raise NotWholeError(f"{there / found.bytes_per_s:.1f} s of {stated_s:.1f} s are there")
        if len(data) - found.end > spare:
            check_frames_at(data, found.end)
            rest_s = (len(data) - found.end) / found.bytes_per_s
            raise NotWholeError(f"it states {stated_s:.1f} s, and {rest_s:.1f} s follow them")
    return Layout((Part(0, len(data)),))


def _wav(data: Buffer) -> Iterator[tuple[Part, str]]:
    start = 0
    while start < len(data):
        part, words = _one_wav(data, start)
        check_alike(data, start + 12, part.end, "")
        yield part, words
        start = part.end


def _one_wav(data: Buffer, start: int) -> tuple[Part, str]:
    """A WAV file that begins at ``start``; what follows its sound may be another."""
    whole, bytes_per_s, at, channels = Part(start, len(data)), 0, -1, 0
    for name, place, size in riff_chunks(data, start + 12):
        if name == b"fmt ":
            bytes_per_s = fmt_bytes_per_s(data[place : place + 32])
            channels = _of_16_bits(data[place : place + 32])
        if name == b"data":
            at, stated = place, size
            break
    if at < 0:
        return whole, ""
    rest, spare = len(data) - at, SPARE_S * bytes_per_s
    if not bytes_per_s:  # as some write of ADPCM
        if rest < stated < UNKNOWN_BYTES:
            raise NotWholeError(f"{rest} of {stated} bytes are there")
        return whole, ""
    if stated >= UNKNOWN_BYTES and stated > rest:
        another = _next_wav(data, at)
        whole = replace(whole, end=another)
        return _patched(whole, at), ""
    if stated > rest + spare:
        there, all_of_it = rest / bytes_per_s, stated / bytes_per_s
        raise NotWholeError(f"{there:.1f} s of {all_of_it:.1f} s are there")
    if stated > rest:
        if channels:
            _check_samples(data, at, channels)
        return _patched(whole, at), f"states {stated - rest} bytes more than there are"
    end = at + stated + stated % 2
    check_frames_at(data, end)
    for name, place, size in riff_chunks(data, end):
        if name == b"data":
            raise NotWholeError("its sound lies in several pieces, of which one can be read")
        if place + size > len(data) and name not in CHUNKS:  # what looks like a chunk is sound
            break
        end = place + size + size % 2
    if data[end : end + 4] == b"RIFF" and data[end + 8 : end + 12] == b"WAVE":
        return replace(whole, end=end), ""
    if len(data) - end <= spare:
        return whole, ""
    whole = replace(whole, end=_next_wav(data, end))
    there, all_of_it = (whole.end - at) / bytes_per_s, stated / bytes_per_s
    words = f"states {all_of_it:.1f} s, and all {there:.1f} s were read"
    return _patched(whole, at), f"{words}: the recorder did not complete it"


def _of_16_bits(fmt: Buffer) -> int:
    """How many channels it states of samples of 16 bits; 0: they are others."""
    code, channels, bits = (little(fmt, at, 2) for at in (0, 2, 14))
    return channels if code == 1 and bits == 16 else 0


def _check_samples(data: Buffer, at: int, channels: int) -> None:
    """Raises :class:`NotWholeError` where samples of 16 bits begin to come a byte late.

    So they do behind each carriage return that was taken from before a line feed, as by FTP.
    """
    found = FormCheck("pcm_s16le", channels).feed(bytes(data[at:]))
    if any(one is not None and one.sure and one.likely == "shifted" for _, one in found):
        raise NotWholeError("bytes of its sound are lacking, as where it was copied as text")


def _next_wav(data: Buffer, at: int) -> int:
    """Where another WAV file begins, or the end."""
    found = WAV_START.search(data, at)
    return len(data) if found is None else found.start()


def _patched(part: Part, at: int) -> Part:
    """The sound goes from ``at`` to the end of the part, whatever was stated."""
    riff, size = part.end - part.start - 8, part.end - at
    largest = 0xFFFF_FFFE
    patches = [(part.start + 4, min(riff, largest)), (at - 4, min(size, largest))]
    return replace(part, patches=tuple((n, size.to_bytes(4, "little")) for n, size in patches))


def _mp3(data: Buffer) -> Iterator[tuple[Part, str]]:
    start = at = 0
    frames = stated = 0
    tag: int | None = None
    first, words = len(data), ""
    while at < len(data):
        if data[at : at + 3] == b"ID3":
            tag = at if frames and tag is None else tag
            at = after_tags(data, at)
            continue
        if last_tag := _last_tag(data, at):
            at += last_tag
            continue
        length = mp3_frame(data[at : at + 4])
        if length is None:
            at = _next_frame(data, at + 1)
            if frames and at < len(data):
                words = "some of it is damaged: the rest was read"
            continue
        first = min(first, at)
        if tag is not None:  # it was before another recording, and not behind the last one
            yield _whole_mp3(Part(start, tag), frames, stated), ""
            start, tag, frames, stated = tag, None, 0, 0
        count = _stated_frames(data[at : at + min(length, 192)])
        if count is not None:
            if frames:
                yield _whole_mp3(Part(start, at), frames, stated), ""
                start, frames = at, 0
            stated = count
        else:
            frames += 1
        at += length
    check_alike(data, first, len(data), "MP3")
    check_frames(data, first, len(data), "MP3")
    end = len(data) if tag is None else tag
    yield _whole_mp3(Part(start, end), frames, stated), words


def _last_tag(data: Buffer, at: int) -> int:
    """The length of a tag that stands behind the sound (ID3v1, APEv2); 0: there is none."""
    if data[at : at + 3] == b"TAG":
        return ID3V1_BYTES
    if data[at : at + 8] != b"APETAGEX":
        return 0
    return APE_BYTES + (little(data, at + 12) if little(data, at + 20) & APE_HEAD else 0)


def _next_frame(data: Buffer, at: int) -> int:
    """The next place at which two frames follow each other, or the end."""
    while (at := data.find(b"\xff", at)) >= 0:
        length = mp3_frame(data[at : at + 4])
        if length is not None and mp3_frame(data[at + length : at + length + 4]) is not None:
            return at
        at += 1
    return len(data)


def _stated_frames(frame: bytes) -> int | None:
    """How many frames follow, by the frame of a Xing header; 0 where it does not say."""
    at = max(frame.find(b"Xing"), frame.find(b"Info"))
    if at < 0 or len(frame) < at + 12:  # none, or torn
        return None
    counted = frame[at + 7] & 1
    return int.from_bytes(frame[at + 8 : at + 12], "big") if counted else 0


def _whole_mp3(part: Part, frames: int, stated: int) -> Part:
    if frames < min(stated * MP3_SHARE, stated - 1):
        raise NotWholeError(f"{frames} frames of {stated} are there")
    return part
