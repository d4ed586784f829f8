"""The caller's sound from numbered, timed pieces: put in order, with silence where some is lacking.

Messages are numbered over all tracks. One that is lacking is waited for while a few others come,
and what was said in it is silence. Sans-IO.
"""

from __future__ import annotations

from engine.format import SAMPLE_BYTES, Encoding
from streamer.server.telephony.opening import Format

SILENCE: dict[Encoding, bytes] = {"mulaw": b"\xff", "alaw": b"\xd5"}  # ITU-T G.711; else zeros
MOST_HELD = 5  # messages that wait for one before them: a tenth of a second
# A jump of the timestamps counts from here on where no message is lacking: less is the jitter of
# a clock. Beyond MOST_MS the server's own clock tells the pause.
JUMP_MS, MOST_MS = 300.0, 5000.0
REGULAR_MS = 10.0  # Only after a piece that came when it was expected, to this, a jump counts.


class Track:
    """Pieces in, sound out: that of one call, in the ``sound`` format of its system."""

    def __init__(self, sound: Format) -> None:
        frame_bytes = SAMPLE_BYTES[sound.encoding] * sound.channels
        self._bytes_per_ms = frame_bytes * sound.sample_rate_hz / 1000
        self._frame_bytes = frame_bytes
        self._silence = SILENCE.get(sound.encoding, b"\0")
        self._next: int | None = None
        self._held: dict[int, tuple[float | None, bytes]] = {}
        self._expected_ms: float | None = None  # when what comes next should be
        self._regular = False
        self._lacking = False  # messages before the next sound

    def add(self, number: int | None, at_ms: float | None, sound: bytes) -> bytes:
        """A message, with the sound that is the caller's. Returns what can be gone on with."""
        if number is None:
            return self._timed(at_ms, sound)
        if self._next is None or number < self._next:  # the first, or they are counted anew
            self._next = number
        self._held[number] = at_ms, sound
        return self._ready(MOST_HELD)

    def flush(self) -> bytes:
        """What still waits: nothing follows."""
        return self._ready(0)

    def _ready(self, most: int) -> bytes:
        ready = b""
        while self._held and (self._next in self._held or len(self._held) > most):
            self._lacking = self._lacking or self._next not in self._held
            number = min(self._held)
            at_ms, sound = self._held.pop(number)
            self._next = number + 1
            ready += self._timed(at_ms, sound)
        return ready

    def _timed(self, at_ms: float | None, sound: bytes) -> bytes:
        """The sound, after silence for as long as none came by its timestamp."""
        if not sound:
            return sound
        lacking, self._lacking = self._lacking, False
        if at_ms is None:
            return sound
        length_ms, expected_ms = len(sound) / self._bytes_per_ms, self._expected_ms
        self._expected_ms = at_ms + length_ms
        if expected_ms is None:
            return sound
        jump_ms, regular = at_ms - expected_ms, self._regular
        self._regular = abs(jump_ms) <= REGULAR_MS
        least_ms = min(length_ms, REGULAR_MS) if lacking else JUMP_MS
        if regular and least_ms <= jump_ms <= MOST_MS:
            return self._silent(jump_ms) + sound
        return sound

    def _silent(self, ms: float) -> bytes:
        frames = round(ms * self._bytes_per_ms / self._frame_bytes)
        return self._silence * (frames * self._frame_bytes)
