"""The one reader of recordings: all of the sound in a file, or an error that says what is lacking.

It is opened by descriptor, so that the content decides the format and not the name.
"""

from __future__ import annotations

import contextlib
import io
import mmap
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import soundfile as sf
from numpy.typing import NDArray

from engine.audio.containers import WAV_EXTENSIBLE, Buffer, wav_code
from engine.audio.layout import layout
from engine.audio.media.forms import MP3, WAV, Form, form_of, without_tags
from engine.audio.media.library import MediaMissing, available
from engine.audio.media.sound import MediaSound
from engine.audio.parts import NotWholeError, Part, UnlikeError
from engine.audio.signatures import HEAD_BYTES as SEEN_BYTES
from engine.audio.signatures import foreign
from engine.errors import AudioError
from engine.format import HIGHEST_RATE_HZ, LOWEST_RATE_HZ

Float32 = NDArray[np.float32]

# Codes of encodings in the header of WAV: MP3, and those of plain samples.
WAV_MP3, WAV_PLAIN = 0x55, frozenset((1, 3, 6, 7, WAV_EXTENSIBLE))
READ = (b"RIFF", b"RF64", b"RIFX", b"riff", b"OggS", b"fLaC", b"FORM", b"caff", b".snd", b"NIST")
# Forms of which it is seen whether all of the sound is there, beside those that PyAV reads.
CHECKED = frozenset(
    ("WAV", "WAVEX", "RF64", "AIFF", "CAF", "AU", "W64", "FLAC", "OGG", "MP3", "NIST")
)
SD2_ERRORS = tuple(f"Error : bad {what}" for what in ("map", "data", "resource"))


class Recording:
    """A sound file, or its bytes, called ``name`` in what is said of it.

    libsndfile reads it, or PyAV what libsndfile does not read or reads badly; with ``media`` false
    only libsndfile may.

    ``rate_hz``, ``channels``, ``subtype`` and ``frames`` (0: it does not say) are those of its
    header, ``warnings`` what is wrong with it though all of it is read. A context manager. Raises
    :class:`AudioError` for what is no recording, and for one that is cut short or damaged, here
    or while it is read.
    """

    def __init__(
        self, source: Path | bytes, name: str = "the recording", *, media: bool = True
    ) -> None:
        self.name = str(source) if isinstance(source, Path) else name
        self._media, self._stack = media, contextlib.ExitStack()
        try:
            self._data = without_tags(self._opened(source))
            self._form = form_of(self._data)
            self._layout = layout(self._data)
            with self._part(self._layout.parts[0]) as sound:
                self.rate_hz, self.channels = sound.samplerate, sound.channels
                self.format, self.subtype = sound.format, sound.subtype
                self.frames = 0 if self.format == "MP3" else sound.frames
                self._checked = isinstance(sound, MediaSound) or self.format in CHECKED
        except NotWholeError as error:
            self._stack.close()
            raise self._damaged(str(error)) from error
        except UnlikeError as error:
            words = self._mixed(error)
            self._stack.close()
            raise AudioError(f"{self.name}: {words}") from error
        except BaseException:
            self._stack.close()
            raise

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is wrong with it, in words that begin with its name."""
        every = self._layout.warnings
        if not self._checked:
            every += (f"nothing in a file of this form ({self.format}) tells whether it is whole",)
        return tuple(f"{self.name}: {words}" for words in every)

    def __enter__(self) -> Recording:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def blocks(self, frames: int) -> Iterator[Float32]:
        """All of the sound, ``(up to frames, channels)`` at a time; there is some, or it raises."""
        empty = True
        for part in self._layout.parts:
            with self._part(part) as sound:
                if (sound.samplerate, sound.channels) != (self.rate_hz, self.channels):
                    raise AudioError(
                        f"{self.name}: holds recordings of several rates or numbers of channels:"
                        " take them apart"
                    )
                for block in self._blocks_of(sound, frames):
                    empty = False
                    yield block
        if empty:
            raise AudioError(f"{self.name}: holds no samples: record or copy it again")

    def _blocks_of(self, sound: sf.SoundFile | MediaSound, frames: int) -> Iterator[Float32]:
        read = 0
        while True:
            try:
                with _hushed(sound.subtype.startswith("MPEG")):
                    block = sound.read(frames, dtype="float32", always_2d=True)
            except sf.LibsndfileError as error:
                raise self._damaged(error.error_string.rstrip(".")) from error
            except NotWholeError as error:
                raise self._damaged(str(error)) from error
            if not len(block):
                break
            read += len(block)
            yield block
        # libsndfile's length of MP3, in WAV too, is an estimate from its bit rate; every other
        # header of what it reads counts the frames. MediaSound sees to it by itself.
        exact = isinstance(sound, sf.SoundFile) and not sound.subtype.startswith("MPEG")
        if exact and read < sound.frames:
            there, stated = read / sound.samplerate, sound.frames / sound.samplerate
            raise self._damaged(f"{there:.1f} s of {stated:.1f} s are there")

    def _opened(self, source: Path | bytes) -> Buffer:
        if isinstance(source, bytes):
            return source
        _check_path(source)
        try:
            with open(source, "rb") as file:
                held = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            return self._stack.enter_context(held)
        except OSError as error:
            raise AudioError(f"{source}: cannot be read: {error.strerror}") from error

    def _damaged(self, how: str) -> AudioError:
        return AudioError(f"{self.name}: damaged or cut short ({how}): copy it again")

    def _part(self, part: Part) -> sf.SoundFile | MediaSound:
        form, can = self._form, self._media and available()
        if form is not None and form.first and (can or form is not MP3):
            return self._by_media(part, form)
        try:
            with _hushed(form is MP3 or wav_code(self._data, part.start) == WAV_MP3):
                return sf.SoundFile(_PartIO(self._data, part))
        except sf.LibsndfileError as error:
            # What libsndfile does not make out of plain samples, PyAV guesses.
            guessed = form is WAV and wav_code(self._data, part.start) in WAV_PLAIN
            if form is not None and can and not guessed:
                with contextlib.suppress(AudioError):
                    return self._by_media(part, form)
            raise AudioError(f"{self.name}: {self._unread(error)}") from error

    def _mixed(self, error: UnlikeError) -> str:
        """What is said of a file in which a recording begins somewhere."""
        if self._form is not None or self._data[:4] in READ:
            return f"{error}: take them apart"
        if known := foreign(self._data[:SEEN_BYTES]):
            return f"{known[0]} is not read: take out the recording in it, and send that"
        return f"{error.form} begins at byte {error.at}: take away what stands before it"

    def _unread(self, error: sf.LibsndfileError) -> str:
        """What is said of a file that nobody reads. Its last try is SD2, which nobody meant."""
        why, todo = error.error_string.rstrip("."), "convert it to WAV, FLAC, Ogg or MP3"
        known = foreign(self._data[:SEEN_BYTES])
        if known is not None and self._data[:4] not in READ:
            return f"{known[0]} is not read: {todo}"
        told = "" if why.startswith(SD2_ERRORS) else f" ({why})"
        return f"not a sound file that can be read{told}: {todo}"

    def _by_media(self, part: Part, form: Form) -> MediaSound:
        try:
            return MediaSound(io.BufferedReader(_PartIO(self._data, part)), form)
        except MediaMissing as error:
            raise MediaMissing(f"{self.name}: {error}, or convert it to WAV or FLAC") from error
        except AudioError as error:
            raise AudioError(f"{self.name}: {error}") from error

    def check_rate(self) -> None:
        """Raises :class:`AudioError` for a rate that is not understood."""
        if not LOWEST_RATE_HZ <= self.rate_hz <= HIGHEST_RATE_HZ:
            raise AudioError(
                f"{self.name}: sampled at {self.rate_hz} Hz: record or convert it at "
                f"{LOWEST_RATE_HZ // 1000} to {HIGHEST_RATE_HZ // 1000} kHz"
            )


class _PartIO(io.RawIOBase):
    """A part of a buffer as a file, with its patches."""

    def __init__(self, data: Buffer, part: Part) -> None:
        self._data, self._part, self._at = data, part, part.start

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at - self._part.start

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {
            os.SEEK_SET: self._part.start,
            os.SEEK_CUR: self._at,
            os.SEEK_END: self._part.end,
        }[whence]
        self._at = min(max(start + offset, self._part.start), self._part.end)
        return self.tell()

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        count = min(len(view), self._part.end - self._at)
        view[:count] = self._data[self._at : self._at + count]
        for place, patch in self._part.patches:
            for i, code in enumerate(patch):
                if self._at <= place + i < self._at + count:
                    view[place + i - self._at] = code
        self._at += count
        return count


@contextlib.contextmanager
def _hushed(is_mp3: bool) -> Iterator[None]:
    """Without what the decoder of MP3 writes to standard error; what is wrong is said otherwise."""
    if not is_mp3:
        yield
        return
    kept, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nothing)


def _check_path(path: Path) -> None:
    if path.is_dir():
        raise AudioError(f"{path}: is a folder: name a sound file in it")
    if not path.exists():
        raise AudioError(f"{path}: no such file: check the path")
    if not path.is_file():
        raise AudioError(f"{path}: not a regular file: save the sound to a file first")
    if path.stat().st_size == 0:
        raise AudioError(f"{path}: the file is empty: record or copy it again")
