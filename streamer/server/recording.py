"""A recording that came in one piece: what kind it is, and its sound piece by piece."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from engine.audio.containers import wav_code
from engine.audio.files import same_sound
from engine.audio.media.forms import form_of, without_tags
from engine.audio.media.library import INSTALL, available
from engine.audio.media.sound import CODECS
from engine.audio.recording import Recording
from engine.audio.signatures import HEAD_BYTES, foreign, mp3_frame
from engine.errors import AudioError
from engine.format import HIGHEST_RATE_HZ, LOWEST_RATE_HZ, MOST_CHANNELS, SAMPLE_BYTES
from streamer.server.apart import Decoded, decode_apart
from streamer.wire.errors import WireError
from streamer.wire.requests import StartStream, VerifyRecording

Float32 = NDArray[np.float32]

MOST_S = 60.0  # of sound; what a session's spans hold without merging
PIECE_S = 0.5  # of sound that is decoded at a time
SAME_SOUND = "both channels hold the same sound, or one nothing: {} is read"
READ = (b"RIFF", b"fLaC", b"OggS")  # what libsndfile reads here, by its first bytes
# Encodings inside WAV, FLAC and Ogg that are decoded here. Others are rare, and their decoders were
# never meant for what a stranger sends: they run in a process of their own.
SUBTYPES = frozenset(
    ("PCM_U8", "PCM_S8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW")
) | {"VORBIS", "OPUS"}
WAV_CODES = frozenset((1, 3, 6, 7, 0xFFFE))
OGG_HEADS = (b"OpusHead", b"\x01vorbis")
# There it is all that PyAV may decode, also by the names that libsndfile has for it; of what
# libsndfile alone knows (G.721, DWVW, XI) nothing.
APART_SUBTYPES = SUBTYPES | {codec.upper() for codec in CODECS}
APART_SUBTYPES |= {"MPEG_LAYER_III", "MPEG_LAYER_II", "MS_ADPCM", "IMA_ADPCM", "GSM610"}
APART_SUBTYPES |= {"ALAC_16", "ALAC_20", "ALAC_24", "ALAC_32"}
READ_APART = (b"RF64", b"RIFX", b"riff", b"FORM", b"caff", b".snd", b"NIST", b"wvpk")


class PostedRecording:
    """Sound for a stream of the format ``start``. Raises :class:`WireError` for what is none.

    A file tells its format itself; where ``asked`` names encoding, rate or channels it is raw PCM.
    Decoding, here or in :meth:`pieces`, ends with an error soon after ``over`` says that nobody
    waits for it any more: it runs in threads, which cannot be cancelled. What PyAV reads is decoded
    in a process of its own, which ``apart`` says that this is. ``warnings`` are what is wrong with
    it though it is heard.
    """

    def __init__(
        self,
        body: bytes,
        asked: VerifyRecording,
        over: Callable[[], bool] = lambda: False,
        *,
        apart: bool = False,
    ) -> None:
        if not body:
            raise WireError("bad-sound", "the body is empty: send the recording as it is")
        body = bytes(without_tags(body))
        self._body, self._over = body, over
        self._file: Recording | None = None
        self.warnings: tuple[str, ...] = ()
        if asked.is_raw:
            if body[:4] in READ or _is_read_apart(body):
                message = f"the body is {_name(body)}: leave out encoding, sample_rate, channels"
                raise WireError("wrong-format", message)
            self.start = _raw(asked)
            _check_length(len(body) / (frame_bytes(self.start) * self.start.sample_rate))
        elif _is_read_apart(body) and not apart:
            decoded = _decoded_apart(body, asked, over)
            self._body, self.warnings = decoded.pcm, decoded.warnings
            self.start = StartStream(encoding="pcm_f32le", sample_rate=decoded.rate_hz)
        elif body[:4] in READ or apart:
            self._file = _opened(body, apart=apart)
            self.warnings = self._file.warnings
            _check_length(self._file.frames / self._file.rate_hz)
            channel = asked.channel
            if channel is None and self._file.channels == 2:
                channel = same_sound(self._blocks(self._file))
                if channel is not None:
                    self.warnings += (SAME_SOUND.format(channel),)
            self._channel = _chosen(self._file.channels, channel)
            self.start = StartStream(encoding="pcm_f32le", sample_rate=self._file.rate_hz)
        else:
            raise WireError(
                "wrong-format",
                f"the body is {_name(body)}: send WAV, FLAC, Ogg, AIFF, MP3, M4A or WebM, or raw"
                " PCM with encoding and sample_rate",
            )

    def pieces(self) -> Iterator[bytes]:
        """The sound, of one channel or as it came.

        Raises :class:`AudioError` for damage, :class:`WireError` where there is too much of it.
        """
        if self._file is None:
            size = round(PIECE_S * self.start.sample_rate) * frame_bytes(self.start)
            yield from (self._body[at : at + size] for at in range(0, len(self._body), size))
            return
        for block in self._blocks(self._file):
            yield np.ascontiguousarray(block[:, self._channel], "<f4").tobytes()

    def _blocks(self, file: Recording) -> Iterator[Float32]:
        """The decoded sound, while it is not too long and somebody waits for it."""
        frames = 0
        for block in file.blocks(round(PIECE_S * file.rate_hz)):
            frames += len(block)
            _check_length(frames / file.rate_hz)  # a header may state anything
            if self._over():
                raise WireError("overloaded", "decoding took too long: try later")
            yield block


def frame_bytes(start: StartStream) -> int:
    """Bytes of a sample of all channels."""
    assert start.encoding != "opus"  # a recording of Opus is a file
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


def _is_media(body: bytes) -> bool:
    """Whether it is what only PyAV reads, or what libsndfile reads badly."""
    form = form_of(body)
    return form is not None and form.first


def _is_read_apart(body: bytes) -> bool:
    if body[:4] == b"RIFF":
        return wav_code(body) not in WAV_CODES | {None}
    if body[:4] == b"OggS":
        return not any(head in body[:64] for head in OGG_HEADS)
    return body[:4] in READ_APART or _is_media(body) or _is_free_mp3(body[:4])


def _is_free_mp3(head: bytes) -> bool:
    """Whether it begins with a frame of MP3 that does not state its bit rate (free format)."""
    if len(head) < 4 or head[2] & 0xF0:
        return False
    return mp3_frame(bytes([*head[:2], head[2] | 0x10, head[3]])) is not None


def _decoded_apart(body: bytes, asked: VerifyRecording, over: Callable[[], bool]) -> Decoded:
    if _is_media(body) and not available():
        message = f"the body is {_name(body)}: the server needs the extra media for it ({INSTALL})"
        raise WireError("wrong-format", f"{message}; or send WAV, FLAC or Ogg")
    return decode_apart(body, asked, over)


def _opened(body: bytes, *, apart: bool) -> Recording:
    try:
        recording = Recording(body, media=apart)
    except AudioError as error:
        raise WireError("bad-sound", str(error)) from error
    if recording.subtype not in (APART_SUBTYPES if apart else SUBTYPES):
        message = f"the file is encoded as {recording.subtype}: convert it to 16-bit PCM"
        raise WireError("wrong-format", message)
    if not LOWEST_RATE_HZ <= recording.rate_hz <= HIGHEST_RATE_HZ:
        understood = f"{LOWEST_RATE_HZ} to {HIGHEST_RATE_HZ} are understood"
        raise WireError("bad-rate", f"the file has {recording.rate_hz} Hz: {understood}")
    return recording


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


def _name(body: bytes) -> str:
    known = foreign(body[:HEAD_BYTES])
    return known[0] if known else "no WAV, FLAC or Ogg file"
