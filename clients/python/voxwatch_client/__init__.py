"""The client: sound to a server, its events back, over connections that may break.

    async with connect("ws://localhost:8765", claim="alice", sample_rate=48000) as stream:
        await stream.send(pcm)          # waits while the server is busy
        await stream.finalize()         # no more sound
        async for event in stream:      # read while sending, in another task, when it is much
            ...

A connection that breaks is opened again and the session resumed: sound that the server
did not take is sent again and the events go on with the next number. The caller sees no
gap and no duplicate, or an error. A server that was restarted does not know the session:
that is the error ``unknown-session``, and not silently another stream, whose times and
numbers would begin again: `unheard` has the sound for that one.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial

from voxwatch_client import messages, reading
from voxwatch_client.connection import dial
from voxwatch_client.control import control, monitor
from voxwatch_client.errors import ClientError, ConnectionFailed, ServerError
from voxwatch_client.opening import Opener
from voxwatch_client.stream import ClientStream, Timing
from voxwatch_client.verdict import verify_async as verify

__all__ = ["ClientError", "ClientStream", "ConnectionFailed", "EnrollStream", "ServerError"]
__all__ += ["Timing", "VerifyStream", "connect", "control", "enroll", "monitor", "verify"]

VerifyStream = ClientStream[messages.Ready, messages.StreamMessage]
EnrollStream = ClientStream[messages.EnrollReady, messages.EnrollMessage]


@asynccontextmanager
async def connect(
    url: str,
    *,
    claim: str | Sequence[str] | None = None,
    encoding: messages.SoundEncoding = "pcm_s16le",
    sample_rate: int = 16_000,
    channels: int = 1,
    channel: int = 0,
    live: bool | None = None,
    kept_s: float | None = None,
    window_s: float | None = None,
    hop_s: float | None = None,
    false_accept: float | None = None,
    miss: float | None = None,
    label: str = "",
    token: str | None = None,
    tls: ssl.SSLContext | None = None,
    timing: Timing | None = None,
) -> AsyncIterator[VerifyStream]:
    """A stream on the server at ``url``, ``ws://HOST:PORT``; leaving the block ends it.

    ``claim`` is who it should be, several names or one; None asks "who is it?" among all
    enrolled. ``sample_rate`` in Hz; ``channel`` of ``channels`` is listened to, from 0; ``"opus"``,
    in Ogg or WebM and sent from its beginning, tells rate and channels itself. ``live``
    False: this is a file, whose pace says nothing of pauses. ``kept_s`` of what it begins with, as
    of `unheard`, were said before, and are dated so. What is None is up to the server. ``label`` is
    shown to monitors.

    Raises :class:`ConnectionFailed` where no connection can be made, and
    :class:`ServerError` for what the server refuses; both also from the stream, later.
    """
    start = messages.StartStream(
        encoding=encoding,
        sample_rate=sample_rate,
        channels=channels,
        channel=channel,
        live=live,
        kept_s=kept_s,
        claim=claim if isinstance(claim, str) else list(claim or ()),
        window_s=window_s,
        hop_s=hop_s,
        false_accept=false_accept,
        miss=miss,
        label=label,
    )
    call = partial(dial, url, "/v1/stream", token=token, tls=tls, ping_s=None)
    opener = Opener(call, start, reading.stream, messages.Ready)
    async with VerifyStream(opener, timing or Timing()) as stream:
        yield stream


@asynccontextmanager
async def enroll(
    url: str,
    name: str,
    *,
    consent: str | messages.GivenConsent,
    ttl_days: float | None = None,
    add: bool = False,
    encoding: messages.SoundEncoding = "pcm_s16le",
    sample_rate: int = 16_000,
    channels: int = 1,
    channel: int = 0,
    live: bool | None = None,
    token: str | None = None,
    tls: ssl.SSLContext | None = None,
    timing: Timing | None = None,
) -> AsyncIterator[EnrollStream]:
    """Enrol ``name`` on the server: send sound, read `progress` until `enrolled` or `refused`.

    ``consent`` is the version of the text that the person agreed to, which the control
    request `status` tells; by a candidate's link, what they agreed to of the text that `seat`
    tells. ``add`` gives an enrolled person another prototype. ``live`` False: this is a file, whose
    pace says nothing of its rate. An enrolment cannot be resumed: a lost connection is
    :class:`ConnectionFailed`.
    """
    if isinstance(consent, str):
        consent = messages.GivenConsent(given=True, text_version=consent)
    start = messages.StartEnroll(
        name=name,
        consent=consent,
        ttl_days=ttl_days,
        add=add,
        encoding=encoding,
        sample_rate=sample_rate,
        channels=channels,
        channel=channel,
        live=live,
    )
    call = partial(dial, url, "/v1/enroll", token=token, tls=tls, ping_s=None)
    opener = Opener(call, start, reading.enrolment, messages.EnrollReady)
    async with EnrollStream(opener, timing or Timing()) as stream:
        yield stream
