"""Sound as people have it, made by PyAV: files of a container and a codec, and what is in them."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

Float32 = NDArray[np.float32]
LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1"}


def library() -> Any:
    """PyAV; without the extra media a test is skipped."""
    return pytest.importorskip("av", reason="needs the extra media")


def encoded(
    form: str, codec: str, *tracks: Float32, rate_hz: int = 48_000, **options: str
) -> bytes:
    """A file of that form, with each of the tracks, ``(N,)`` or ``(N, channels)``, in a stream.

    A test of what this PyAV does not encode is skipped: from version 19 on it makes no AMR.
    """
    av, buffer = library(), io.BytesIO()
    with av.open(buffer, "w", format=form, options=options) as container:
        streams = []
        for sound in tracks:
            layout = LAYOUTS[sound.shape[1] if sound.ndim == 2 else 1]
            try:
                streams.append(container.add_stream(codec, rate=rate_hz, layout=layout))
            except av.codec.codec.UnknownCodecError:
                pytest.skip(f"PyAV {av.__version__} does not encode {codec}")
        for stream, sound in zip(streams, tracks, strict=True):
            for frame in (frame_of(sound, rate_hz, stream.layout.name), None):
                for packet in stream.encode(frame):
                    container.mux(packet)
    return buffer.getvalue()


def film(form: str = "mp4", codec: str = "mpeg4") -> bytes:
    """Half a second of pictures without any sound."""
    av, buffer = library(), io.BytesIO()
    with av.open(buffer, "w", format=form) as container:
        stream = container.add_stream(codec, rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        pictures = [av.VideoFrame(64, 48, "yuv420p") for _ in range(5)]
        for picture in (*pictures, None):
            for packet in stream.encode(picture):
                container.mux(packet)
    return buffer.getvalue()


def opus_packets(data: bytes) -> tuple[bytes, list[bytes]]:
    """The header and the packets of a file of Opus."""
    with library().open(io.BytesIO(data)) as container:
        stream = container.streams.audio[0]
        packets = [bytes(packet) for packet in container.demux(stream) if packet.size]
        return bytes(stream.codec_context.extradata), packets


def frame_of(sound: Float32, rate_hz: int, layout: str) -> Any:
    """All of a sound as one frame, to be encoded."""
    steps = np.round(sound * 32767).astype(np.int16).reshape(1, -1)
    frame = library().AudioFrame.from_ndarray(steps, format="s16", layout=layout)
    frame.sample_rate, frame.pts = rate_hz, 0
    return frame
