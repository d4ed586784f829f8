"""A recording that came in one piece: what kind it is, and its sound piece by piece."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from engine.audio import recording
from engine.errors import AudioError
from engine.format import HIGHEST_RATE_HZ, LOWEST_RATE_HZ, MOST_CHANNELS, SAMPLE_BYTES
from streamer.wire.errors import WireError
from streamer.wire.requests import StartStream, VerifyRecording

MOST_S = 60.0  # of sound; what a session's spans hold without merging
PIECE_S = 0.5  # of sound that is decoded at a time
READ = {b"RIFF": "WAV", b"fLaC": "FLAC", b"OggS": "Ogg"}
# First bytes of what people send by mistake, and where they stand.
OTHERS = (
    (0, b"ID3", "MP3"),
    (0, b"\xff\xfb", "MP3"),
    (0, b"\xff\xf3", "MP3"),
    (0, b"\xff\xf1", "AAC"),
    (4, b"ftyp", "MP4 or M4A"),
    (0, b"\x1a\x45\xdf\xa3", "WebM or Matroska"),
    (0, b"FORM", "AIFF"),
    (0, b".snd", "AU"),
    (0, b"caff", "CAF"),
    (0, b"#!AMR", "AMR"),
    (0, b"{", "JSON"),
    (0, b"--", "a form (multipart)"),
)
# Encodings inside WAV, FLAC and Ogg that are decoded. What else libsndfile knows is rare, and its
# decoders were never meant for what a stranger sends.
SUBTYPES = frozenset(
    {
        "PCM_U8",
        "PCM_S8",
        "PCM_16",
        "PCM_24",
        "PCM_32",
        "FLOAT",
        "DOUBLE",
        "ULAW",
        "ALAW",
        "VORBIS",
        "OPUS",
    }
)


class Recording:
    """Sound for a stream of the format ``start``. Raises :class:`WireError` for what is none.

    A file tells its format itself; where ``asked`` names encoding, rate or channels it is raw PCM.
    """

    def __init__(self, body: bytes, asked: VerifyRecording) -> None:
        if not body:
            raise WireError("bad-sound", "the body is empty: send the recording as it is")
        self._body, self._sound = body, None
        kind = READ.get(body[:4])
        if asked.is_raw:
            if kind:
                message = f"the body is a {kind} file: leave out encoding, sample_rate, channels"
                raise WireError("wrong-format", message)
            self.start = _raw(asked)
            bytes_per_s = frame_bytes(self.start) * self.start.sample_rate
            _check_length(len(body) / bytes_per_s)
        elif kind:
            self._sound = _opened(body, kind)
            self._channel = _chosen(self._sound.channels, asked.channel)
            self.start = StartStream(encoding="pcm_f32le", sample_rate=self._sound.rate_hz)
            _check_length(self._sound.frames / self._sound.rate_hz)
        else:
            raise WireError("wrong-format", _named(body))

    def pieces(self) -> Iterator[bytes]:
        """The sound, of one channel or as it came.

        Raises :class:`AudioError` for damage, :class:`WireError` where there is too much of it.
        """
        if self._sound is not None:
            yield from self._decoded(self._sound)
            return
        step = round(PIECE_S * self.start.sample_rate) * frame_bytes(self.start)
        yield from (self._body[at : at + step] for at in range(0, len(self._body), step))

    def _decoded(self, sound: recording.Recording) -> Iterator[bytes]:
        frames = 0
        with sound:
            for block in sound.blocks(round(PIECE_S * sound.rate_hz)):
                frames += len(block)
                _check_length(frames / sound.rate_hz)  # a header may state anything
                yield np.ascontiguousarray(block[:, self._channel], "<f4").tobytes()


def frame_bytes(start: StartStream) -> int:
    """Bytes of a sample of all channels."""
    return SAMPLE_BYTES[start.encoding] * start.channels


def _check_length(seconds: float) -> None:
    if seconds > MOST_S:
        message = f"a recording has at most {MOST_S:g} s: open a stream for more"
        raise WireError("recording-too-long", message)


def _raw(asked: VerifyRecording) -> StartStream:
    start = StartStream()
    encoding, rate = asked.encoding or start.encoding, asked.sample_rate or start.sample_rate
    channels = asked.channels or start.channels
    channel = _chosen(channels, asked.channel)
    return StartStream(encoding=encoding, sample_rate=rate, channels=channels, channel=channel)


def _opened(body: bytes, kind: str) -> recording.Recording:
    try:
        sound = recording.Recording(body, f"the {kind} file")
    except AudioError as error:
        raise WireError("bad-sound", str(error)) from error
    if sound.subtype not in SUBTYPES:
        message = f"the {kind} file is encoded as {sound.subtype}: convert it to 16-bit PCM"
        raise WireError("wrong-format", message)
    if not LOWEST_RATE_HZ <= sound.rate_hz <= HIGHEST_RATE_HZ:
        message = f"the file has {sound.rate_hz} Hz: {LOWEST_RATE_HZ} to {HIGHEST_RATE_HZ} are"
        raise WireError("bad-rate", f"{message} understood")
    return sound


def _chosen(channels: int, channel: int | None) -> int:
    """The channel to listen to, from 0: the two sides of a call are different people."""
    if channels > MOST_CHANNELS:
        raise WireError("bad-parameter", f"it has {channels} channels: {MOST_CHANNELS} at most")
    if channels == 1:
        return 0
    if channel is None:
        raise WireError("bad-parameter", f"it has {channels} channels: choose one by channel=")
    if channel >= channels:
        raise WireError("bad-parameter", f"channels count from 0 to {channels - 1}")
    return channel


def _named(body: bytes) -> str:
    known = [name for at, head, name in OTHERS if body[at : at + len(head)] == head]
    what = f"the body is {known[0]}" if known else "the body is no WAV, FLAC or Ogg file"
    return f"{what}: send WAV, FLAC or Ogg, or raw PCM with encoding and sample_rate"
