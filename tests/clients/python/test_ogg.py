"""Packets of Opus into Ogg, read back by others: FFmpeg, libsndfile and our own server's reader."""

from __future__ import annotations

import io

import numpy as np
import pytest
import soundfile as sf
from encoded import encoded, library, opus_packets

from engine.audio.opus.packets import samples
from engine.audio.opus.stream import OpusStream
from voxwatch_client.ogg import MOST_BYTES, OggOpus, samples_in

library()


def packets() -> list[bytes]:
    noise = 0.1 * np.random.default_rng(0).standard_normal(48_000)
    return opus_packets(encoded("ogg", "libopus", np.asarray(noise, np.float32)))[1]


def heard(data: bytes) -> int:
    """Samples."""
    return sum(map(len, OpusStream().feed(data))) // 2


def test_others_read_what_it_makes() -> None:
    ogg, made = OggOpus(), packets()
    data = b"".join(map(ogg.packet, made))
    length = len(made) * 960
    assert heard(data) == length
    assert len(sf.read(io.BytesIO(data))[0]) == pytest.approx(length, abs=960)  # checks sums
    with library().open(io.BytesIO(data), format="ogg") as container:
        assert sum(frame.samples for frame in container.decode(audio=0)) == length


def test_every_packet_is_sent_at_once_and_what_is_lost_is_silence() -> None:
    ogg, made = OggOpus(), packets()
    opus, total = OpusStream(), 0
    for number, packet in enumerate(made[:20]):
        if number == 10:
            ogg.lost(1.5)
        total += sum(map(len, opus.feed(ogg.packet(packet)))) // 2
        assert total == 960 * (number + 1) + (72_000 if number >= 10 else 0)
        assert opus.torn == 0


def test_lengths_of_packets_are_those_that_the_server_knows() -> None:
    for code in range(256):
        for more in (b"", b"\x03", b"\xc5rest"):
            assert samples_in(bytes([code]) + more) == samples(bytes([code]) + more)


@pytest.mark.parametrize("data", [b"", b"\x03", bytes(MOST_BYTES + 1)])
def test_what_is_no_packet_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="not a packet"):
        OggOpus().packet(data)


@pytest.mark.parametrize("size", [254, 255, 256, 510])
def test_packets_of_any_length_end_where_they_end(size: int) -> None:
    packet = b"\x08" + bytes(size - 1)
    page = OggOpus().packet(packet)
    assert page.endswith(bytes([255] * (size // 255) + [size % 255]) + packet)
