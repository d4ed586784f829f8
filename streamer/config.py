"""How a voxwatch installation is set up: one frozen record. `streamer.config_sources` fills it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec

from engine.errors import VoxwatchError
from streamer.addresses import is_loopback
from streamer.server.auth import Token, is_origin
from streamer.store.consent import ConsentText, default_text
from streamer.store.keys import STORE_FILE
from streamer.wire.requests import ErrorRate, Hop, Window

DAY_S = 86400.0
Count = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]
Seconds = Annotated[float, msgspec.Meta(gt=0, le=1e9)]
Stall = Annotated[float, msgspec.Meta(ge=1, le=3600)]
Days = Annotated[float, msgspec.Meta(gt=0, le=1e5)]
Probability = Annotated[float, msgspec.Meta(gt=0, lt=1)]
Budget = Annotated[float, msgspec.Meta(gt=0, le=1000)]
Port = Annotated[int, msgspec.Meta(ge=0, le=65535)]
Text = Annotated[str, msgspec.Meta(min_length=1)]
Topic = Annotated[str, msgspec.Meta(pattern=r"^[^+#\x00/]+(/[^+#\x00/]+)*$", max_length=200)]


class ConfigError(VoxwatchError):
    """A setting that is unknown, out of range or unsafe; the message names it and its source."""


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What one client, or all of them, may take."""

    message_bytes: Count = 1 << 20  # longest WebSocket message
    connections: Count = 256
    strangers: Count = 64  # connections that have shown no token yet, beside those
    streams: Count = 200
    enrolments: Count = 40  # under way at once
    verify_bytes: Count = 12 << 20  # a recording for a verdict: 60 s of stereo at 48 kHz, 16 bit
    verifications: Count = 4  # verdicts on recordings under way at once; others wait
    stream_s: Seconds = 4 * 3600.0  # longest stream, in seconds of sound
    idle_s: Seconds = 60.0  # without any message
    start_s: Seconds = 10.0  # from the connection to its start
    audio_s_per_client_hour: Seconds = 4 * 3600.0  # four streams in real time
    backlog_s: Seconds = 10.0  # sound taken in but not yet scored; beyond it the client waits
    resume_s: Seconds = 60.0  # a dropped stream waits this long for its client
    resume_events: Count = 1024  # kept for a client that resumes: minutes, some 0.3 MB a stream
    claims: Count = 64  # speakers in one claim
    outbox: Count = 1024  # messages waiting for a slow client


class Mqtt(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A broker to publish to. The password is in the environment variable ``password_env``."""

    host: Text
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)] = 1883
    username: Text | None = None
    password_env: Text | None = None
    tls: bool = False
    topic: Topic = "voxwatch"
    qos: Literal[0, 1, 2] = 1
    scores: bool = False  # publish every score too, not only what follows from them


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything that can be set. :func:`load` checks ranges; made by hand, only what belongs
    together is checked (``ValueError``: ``key: what is wrong``).
    """

    data_dir: Path  # key and store; a place of the user's own
    host: Text = "127.0.0.1"
    port: Port = 8765  # 0: any free one
    bundle: Path | None = None  # model bundle; None: the one that ships
    provider: Literal["auto", "cpu", "cuda", "tensorrt"] = "auto"
    threads: Count | None = None  # of the model on the CPU; None: all cores
    batching: bool = True  # false: one window at a time, for comparison
    window_s: Window = 3.0  # of net speech
    hop_s: Hop = 0.5
    false_accept: ErrorRate = 0.01
    miss: ErrorRate = 0.05
    false_alarms_per_hour: Budget = 1.0  # takeovers seen where an accepted speaker goes on
    prior: Probability = 0.5
    stall_s: Stall = 3.0  # of the clock without sound, after which a stream's state is not current
    tls_cert: Path | None = None  # PEM, the whole chain
    tls_key: Path | None = None
    allow_plaintext: bool = False  # beyond loopback without TLS, as behind a proxy that has it
    origins: tuple[str, ...] = ()  # of pages that may connect besides the server's own
    tokens: tuple[Token, ...] = ()
    ttl_days: Days | None = None  # voiceprints are kept this long at most
    consent_text: Text | None = None  # None: the text that ships
    consent_version: Text | None = None  # of an own text
    limits: Limits = Limits()
    mqtt: Mqtt | None = None

    def __post_init__(self) -> None:
        if (self.tls_cert is None) != (self.tls_key is None):
            there, lacking = ("tls_cert", "tls_key") if self.tls_cert else ("tls_key", "tls_cert")
            raise ValueError(f"{there}: needs {lacking} beside it")
        if (self.consent_text is None) != (self.consent_version is None):
            there = "consent_text" if self.consent_text else "consent_version"
            raise ValueError(f"{there}: consent_text and consent_version are set together")
        if self.hop_s > self.window_s:
            raise ValueError(f"hop_s: {self.hop_s:g} is longer than window_s {self.window_s:g}")
        for origin in self.origins:
            if not is_origin(origin):
                raise ValueError(f"origins: {origin!r} is not like https://voice.example.org:8443")

    @property
    def store_path(self) -> Path:
        """The database of voiceprints."""
        return self.data_dir / STORE_FILE

    @property
    def consent(self) -> ConsentText:
        """What is shown before enrolment, and its version."""
        if self.consent_text is not None and self.consent_version is not None:
            return ConsentText(self.consent_version, self.consent_text)
        return default_text(self.ttl_days)

    def ttl_s(self, asked_days: float | None) -> float | None:
        """How long to keep a voiceprint, in seconds: as asked, at most ``ttl_days``."""
        days = [d for d in (asked_days, self.ttl_days) if d is not None]
        return min(days) * DAY_S if days else None


def check_exposure(config: Config) -> None:
    """Raise :class:`ConfigError` when others could reach the server and nothing protects it.

    Loopback needs nothing. Elsewhere callers need tokens, and tokens need TLS on the way,
    or the word of whoever set it up that something else protects the way.
    """
    if is_loopback(config.host):
        return
    lacking = []
    if not config.tokens:
        lacking.append("at least one [[tokens]] entry (name, roles, sha256)")
    if config.tls_cert is None and not config.allow_plaintext:
        lacking.append("tls_cert and tls_key (or allow_plaintext = true behind a TLS proxy)")
    if lacking:
        raise ConfigError(
            f"host {config.host!r} can be reached from other machines: set {' and '.join(lacking)},"
            ' or host = "127.0.0.1"'
        )
