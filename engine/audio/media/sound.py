"""The sound of one recording, decoded by PyAV: of one form, one track, and nothing else."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from engine.audio.media.forms import AMR, MP3, WAV, Form
from engine.audio.media.library import library
from engine.audio.parts import NotWholeError
from engine.errors import AudioError

Float32 = NDArray[np.float32]

# Decoders that may run, by the name of what they decode. Pictures are never decoded.
CODECS = frozenset({"opus", "vorbis", "aac", "mp3", "mp2", "amr_nb", "amr_wb", "alac", "flac"})
CODECS |= {"speex", "wmav1", "wmav2", "ac3", "eac3", "gsm_ms", "adpcm_ms", "adpcm_ima_wav"}
CODECS |= {"pcm_u8", "pcm_s16le", "pcm_s16be", "pcm_s24le", "pcm_s32le", "pcm_f32le"}
CODECS |= {"pcm_mulaw", "pcm_alaw"}
DECODERS = sorted(CODECS | {"mp3float", "mp2float", "amrnb", "amrwb", "libopus", "libspeex"})
SPARE_S = 0.25  # Less sound than stated may be there: encoders fill up their last frame.
GAP_S, MOST_GAP_S = 0.1, 30.0  # What lacks by the times is silence, as of Opus over a connection.
AMR_FRAMES_PER_S, AMR_ZEROS = 50, 0x83  # bits of the first byte of a frame that are zero
AMR_SPEECH = {"amr_nb": 8, "amr_wb": 9}  # kinds of frames that hold speech: those from 0 on
FULL_SCALE = {"i2": 1 << 15, "i4": 1 << 31, "u1": 1 << 7}


class MediaSound:
    """A recording in ``file``, read like a ``SoundFile``; a context manager.

    ``frames`` (0: it does not say) are those that its header states. Raises :class:`AudioError`
    for what cannot be read and :class:`NotWholeError` for what is lacking, here and in
    :meth:`read`.
    """

    def __init__(self, file: io.BufferedIOBase, form: Form) -> None:
        self._av, self._form = library(f"{form.name}"), form
        try:
            self._container = self._av.open(
                file,
                format=form.demuxer,
                io_open=_no_other_file,
                container_options={"codec_whitelist": ",".join(DECODERS)},
                **_tolerant(self._av),
            )
        except self._av.FFmpegError as error:
            raise AudioError(f"no {form.name} that can be read") from error
        try:
            self._stream = self._only_stream()
            self._blocks = self._decoded()
            first = next(self._blocks, None)
            if first is None:
                raise NotWholeError("there is no sound in it")
        except BaseException:
            self._container.close()
            raise
        self._held: Float32 = first
        self.channels = first.shape[1]
        self.frames = round(self._stated_s * self.samplerate)

    def __enter__(self) -> MediaSound:
        return self

    def __exit__(self, *_: object) -> None:
        self._container.close()

    @property
    def format(self) -> str:
        """The form of the file."""
        return self._form.demuxer

    @property
    def subtype(self) -> str:
        """What its sound is encoded as."""
        return str(self._stream.codec_context.codec.canonical_name).upper()

    def read(self, frames: int, **_: object) -> Float32:
        """The next ``(up to frames, channels)``; none at the end."""
        blocks, count = [self._held], len(self._held)
        while count < frames and (block := next(self._blocks, None)) is not None:
            if block.shape[1] != self.channels:
                raise NotWholeError("it changes its number of channels")
            blocks.append(block)
            count += len(block)
        whole: Float32 = np.concatenate(blocks)
        self._held = whole[frames:]
        return whole[:frames]

    def _only_stream(self) -> Any:
        streams = self._container.streams.audio
        if not streams:
            raise AudioError("holds no sound: choose a recording with sound")
        if len(streams) > 1:
            raise AudioError(
                f"holds {len(streams)} tracks of sound, which may be different people: keep one"
            )
        codec = streams[0].codec_context
        name = codec.codec.canonical_name if codec is not None else "something unknown"
        if codec is None or name not in CODECS:
            raise AudioError(f"is encoded as {name}, which is not read: convert it to WAV or FLAC")
        if self._form.demuxer == WAV.demuxer and name == "aac" and codec.extradata:
            raise AudioError(
                "holds AAC without a head of each of its frames, of which nobody can tell where one"
                " begins: convert it to M4A, FLAC or WAV"
            )
        codec.thread_count = 1
        pictures = len(self._container.streams) > 1
        stated = streams[0].duration
        self._stated_s = float(stated * streams[0].time_base) if stated else 0.0
        if not stated and self._container.duration and not pictures:
            self._stated_s = self._container.duration / self._av.time_base
        if not self._form.states:
            self._stated_s = 0.0
        return streams[0]

    def _frames_of(self, packet: Any) -> list[Any]:
        try:
            return list(packet.decode())
        except self._av.FFmpegError:
            if self._form is MP3:  # whose layout tells of damage: what follows it is heard
                return []
            raise

    def _is_pause(self, packet: Any) -> bool:
        """Whether a frame of AMR holds no speech but how its pause sounds, or nothing.

        Telephones that save bits send these in pauses, and FFmpeg does not decode them.
        """
        speech = AMR_SPEECH[self._stream.codec_context.codec.canonical_name]
        code = bytes(packet)[0] if packet.size else 0x80
        return code & AMR_ZEROS == 0 and code >> 3 & 15 >= speech

    def _decoded(self) -> Iterator[Float32]:
        at: int | None = None  # samples, by the times of the container
        try:
            for packet in self._container.demux(self._stream):
                if packet.is_corrupt:
                    raise NotWholeError("some of it is damaged")
                if self._form is AMR and self._is_pause(packet):
                    self.samplerate = int(self._stream.codec_context.sample_rate)
                    at = (at or 0) + self.samplerate // AMR_FRAMES_PER_S
                    yield np.zeros((self.samplerate // AMR_FRAMES_PER_S, 1), np.float32)
                    continue
                for frame in self._frames_of(packet):
                    if at is None:
                        self.samplerate = int(frame.sample_rate)
                    elif frame.sample_rate != self.samplerate:
                        raise NotWholeError("it changes its sample rate")
                    begins = at or 0
                    if frame.time is not None:
                        begins = round(frame.time * self.samplerate)
                    lacking_s = 0.0 if at is None else (begins - at) / self.samplerate
                    block = _samples(frame)
                    if lacking_s >= GAP_S:
                        gap_s = min(lacking_s, MOST_GAP_S)
                        yield np.zeros((round(gap_s * self.samplerate), block.shape[1]), np.float32)
                    at = (begins if at is None or lacking_s >= GAP_S else at) + len(block)
                    yield block
        except self._av.FFmpegError as error:
            raise NotWholeError("some of it is damaged") from error
        there_s = 0.0 if at is None else at / self.samplerate
        if there_s < self._stated_s - SPARE_S:
            raise NotWholeError(f"{there_s:.1f} s of {self._stated_s:.1f} s are there")


def _samples(frame: Any) -> Float32:
    """A frame's samples ``(N, channels)``, of full scale 1."""
    found = frame.to_ndarray()
    found = found.T if frame.format.is_planar else found.reshape(-1, frame.layout.nb_channels)
    scale = FULL_SCALE.get(found.dtype.str[1:])
    if scale is None:
        return np.ascontiguousarray(found, np.float32)
    centred = found.astype(np.float32) - (scale if found.dtype == np.uint8 else 0)
    return np.asarray(centred / scale, np.float32)


def _tolerant(av: Any) -> dict[str, str]:
    """What lets PyAV open a file whose tags are not UTF-8. From its version 19 on that is so."""
    return {"metadata_errors": "replace"} if int(av.__version__.split(".")[0]) < 19 else {}


def _no_other_file(url: str, flags: int, options: object) -> NoReturn:
    """A recording that names other files or addresses is not followed."""
    raise PermissionError(f"{url!r} is not opened")
