"""What a client's bytes are: PCM, or Opus that becomes PCM as it comes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import get_args

from engine.audio.media.library import INSTALL, available
from engine.audio.opus.packets import RATE_HZ
from engine.audio.opus.stream import OpusStream
from engine.audio.pcm import PcmDecoder
from engine.format import SAMPLE_BYTES
from streamer.wire.errors import WireError
from streamer.wire.requests import SoundEncoding, StartEnroll, StartStream

OPUS_BYTES_PER_S = 4_000  # 32 kbit/s, a usual rate for speech: until it is known
OPUS_MOST_BYTES_PER_S = 64_000  # 510 kbit/s is the most that encoders make (RFC 6716, 2.1.1)
SLICE_BYTES = 1 << 12  # of Opus, that are taken apart at once: 3 ms where it is made to take long


def pcm_decoder(start: StartStream | StartEnroll) -> PcmDecoder:
    """For the PCM that the engine gets. Raises :class:`WireError` where it cannot be made."""
    if start.encoding == "opus":
        if not available():
            told = f"the server cannot decode Opus: install it there ({INSTALL}), or send PCM"
            raise WireError("encoding-unsupported", told)
        return PcmDecoder("pcm_s16le", RATE_HZ)
    return PcmDecoder(
        start.encoding, start.sample_rate, channels=start.channels, channel=start.channel
    )


def encodings() -> tuple[str, ...]:
    """What this server can take over a connection."""
    return tuple(one for one in get_args(SoundEncoding) if one != "opus" or available())


class ClientSound:
    """The sound of one client, as the PCM of which the engine's decoder knows.

    ``torn`` counts the bytes at its end which are no whole sound.
    """

    def __init__(self, start: StartStream | StartEnroll) -> None:
        self._opus: OpusStream | None = None
        self._cost_s = 0.0  # of the event loop's time, for decoding
        if start.encoding == "opus":
            self._opus = OpusStream(start.channel)
            self.bytes_per_s = 2 * RATE_HZ
        else:
            frame = start.channels * SAMPLE_BYTES[start.encoding]
            self.bytes_per_s = start.sample_rate * frame

    @property
    def is_opus(self) -> bool:
        """Whether its bytes say nothing of its seconds."""
        return self._opus is not None

    @property
    def torn(self) -> int:
        """Bytes of Opus that are not complete."""
        return 0 if self._opus is None else self._opus.torn

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """The PCM in what has come. Raises :class:`AudioError`.

        Of Opus there are empty pieces in between, so that others get their turn.
        """
        if self._opus is None:
            yield data
            return
        for start in range(0, len(data), SLICE_BYTES):
            yield from self._timed(self._opus.feed(data[start : start + SLICE_BYTES]))
            yield b""

    def _timed(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        while True:
            began_s = time.thread_time()
            piece = next(pieces, None)
            self._cost_s += time.thread_time() - began_s
            if piece is None:
                return
            yield piece

    def least_s(self, count: int) -> float:
        """Seconds that so many bytes count for at least, whatever is in them."""
        return 0.0 if self._opus is None else count / OPUS_MOST_BYTES_PER_S

    def take_cost_s(self) -> float:
        """What decoding has cost since this was last asked."""
        cost_s, self._cost_s = self._cost_s, 0.0
        return cost_s

    def seconds(self, count: int, received_bytes: int, received_s: float) -> float:
        """About how long so many bytes as they are sent are, by those received so far.

        Of a message whose sound is being taken the bytes are not counted yet.
        """
        if self._opus is None:
            return count / self.bytes_per_s
        known = received_s > 1.0 and received_bytes > 0
        return count / (received_bytes / received_s if known else OPUS_BYTES_PER_S)
