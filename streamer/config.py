"""How a voxwatch installation is set up: one frozen record. `streamer.config_sources` fills it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec

from engine.errors import VoxwatchError
from streamer.addresses import is_loopback
from streamer.lti.platform import Platform
from streamer.records.rules import IncidentRules
from streamer.server.auth import Token
from streamer.server.origins import is_origin
from streamer.server.proxies import is_network
from streamer.store.consent import ConsentText, default_text
from streamer.wire.requests import ErrorRate, Hop, Window

DAY_S = 86400.0
ADDRESSES = ("https://", "http://")
POSTGRESQL = ("postgresql://", "postgres://", "postgresql+psycopg://")
Count = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]
Seconds = Annotated[float, msgspec.Meta(gt=0, le=1e9)]
Stall = Annotated[float, msgspec.Meta(ge=1, le=3600)]
Days = Annotated[float, msgspec.Meta(gt=0, le=1e5)]
Probability = Annotated[float, msgspec.Meta(gt=0, lt=1)]
Budget = Annotated[float, msgspec.Meta(gt=0, le=1000)]
Port = Annotated[int, msgspec.Meta(ge=0, le=65535)]
Text = Annotated[str, msgspec.Meta(min_length=1)]
LANGUAGE = "^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$"  # RFC 5646, as far as anybody writes it
Language = Annotated[str, msgspec.Meta(pattern=LANGUAGE, max_length=35)]
Topic = Annotated[str, msgspec.Meta(pattern=r"^[^+#\x00/]+(/[^+#\x00/]+)*$", max_length=200)]


class ConfigError(VoxwatchError):
    """A setting that is unknown, out of range or unsafe; the message names it and its source."""


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What one client, or all of them, may take."""

    message_bytes: Count = 1 << 20  # bytes of the longest WebSocket message
    connections: Count = 256  # connections at once of those who have shown a token, or need none
    strangers: Count = 64  # connections that have shown no token yet, beside those
    streams: Count = 200  # streams at once
    enrolments: Count = 40  # enrolments under way at once
    # bytes of a recording for a verdict: 60 s of stereo at 48 kHz, 16 bit
    verify_bytes: Count = 12 << 20
    verifications: Count = 4  # verdicts on recordings under way at once; others wait
    stream_s: Seconds = 4 * 3600.0  # seconds of sound in the longest stream
    idle_s: Seconds = 60.0  # seconds without any message, after which a connection is closed
    start_s: Seconds = 10.0  # seconds from the connection to its start
    # seconds of sound of one client, a token or an address, in an hour: 64 streams in real time
    audio_s_per_client_hour: Seconds = 64 * 3600.0
    opens_per_minute: Count = 3000  # connections of a client in a minute, of each kind
    requests_per_minute: Count = 3000  # control requests of a client in a minute; more wait
    # tries of a token in an hour to be somebody: turns, or streams without any, that do not match
    attempts_per_hour: Count = 60
    # seconds of sound taken in but not yet scored; beyond it the client waits
    backlog_s: Seconds = 10.0
    resume_s: Seconds = 60.0  # seconds that a dropped stream waits for its client
    # events kept for a client that resumes: minutes, some 0.3 MB a stream
    resume_events: Count = 1024
    claims: Count = 64  # speakers in one claim
    outbox: Count = 1024  # messages that wait for a slow client


class Mqtt(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A broker to publish to. The password is in the environment variable ``password_env``."""

    host: Text  # the broker's name or address; without it nothing is published
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)] = 1883  # the broker's port
    username: Text | None = None  # as whom; nobody: without a login
    password_env: Text | None = None  # the environment variable that holds the password
    tls: bool = False  # whether the connection is encrypted
    # what all topics begin with: voxwatch/STREAM/decision, voxwatch/status
    topic: Topic = "voxwatch"
    qos: Literal[0, 1, 2] = 1  # quality of service of what is published
    scores: bool = False  # publish every score too, not only what follows from them
    # what Home Assistant looks for devices under, `homeassistant`; none: it is told nothing
    discovery: Topic | None = None


class OpenEdx(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An Open edX whose exams are watched over. Secrets are in environment variables."""

    client_id: Text  # as whom Open edX comes here; without it nobody comes
    secret_env: Text  # the environment variable that holds its secret, of 32 characters or more
    lms_url: Text | None = None  # where Open edX is, to be told of attempts; none: it is not told
    lms_client_id: Text | None = None  # as whom this server comes there
    lms_secret_env: Text | None = None  # the environment variable that holds this server's secret
    # a learner without a voiceprint has to sit a practice exam first
    onboarding: bool = False

    def __post_init__(self) -> None:
        place = urlsplit(self.lms_url or "https://-")
        if place.scheme != "https" and not (
            place.scheme == "http" and is_loopback(place.hostname or "")
        ):
            raise ValueError("openedx.lms_url: a secret goes there, which wants https://")
        told = (self.lms_url, self.lms_client_id, self.lms_secret_env)
        if None in told and told != (None, None, None):
            raise ValueError("openedx.lms_url: needs lms_client_id and lms_secret_env beside it")


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything that can be set. :func:`load` checks ranges; made by hand, only what belongs
    together is checked (``ValueError``: ``key: what is wrong``).
    """

    data_dir: Path  # where keys, voiceprints and records are kept; a place of the user's own
    # where voiceprints and records are kept instead, postgresql://USER@HOST/DATABASE; none: in
    # data_dir. The keys stay there.
    database: Text | None = None
    host: Text = "127.0.0.1"  # address to listen on; beyond this machine it needs tokens and TLS
    port: Port = 8765  # port to listen on; 0: any free one
    bundle: Path | None = None  # model bundle; none: the one that ships
    # what runs the model; auto is the fastest that works here
    provider: Literal["auto", "cpu", "cuda", "tensorrt"] = "auto"
    # where people reach the server, for links that are sent to them: https://voice.example.org
    public_url: Text | None = None
    workers: Annotated[int, msgspec.Meta(ge=1, le=64)] = 1  # processes that share the port
    threads: Count | None = None  # of the model on the CPU, in all; none: one a core
    batching: bool = True  # false: one window at a time, for comparison
    window_s: Window = 3.0  # seconds of speech in a score
    hop_s: Hop = 0.5  # seconds of speech between scores
    false_accept: ErrorRate = 0.01  # tolerated share of strangers who are matched
    most_false_accept: ErrorRate = 0.1  # the largest false_accept that a client may ask for
    miss: ErrorRate = 0.05  # tolerated share of right speakers who are denied
    scores: bool = True  # false: streams are told states, and no figures to climb by
    # takeovers seen where an accepted speaker goes on, in an hour of speech
    false_alarms_per_hour: Budget = 1.0
    prior: Probability = 0.5  # probability of the claim before anything is heard
    # seconds of the clock without sound, after which a stream's state is not current
    stall_s: Stall = 3.0
    tls_cert: Path | None = None  # certificate in PEM, the whole chain
    tls_key: Path | None = None  # private key of the certificate, in PEM
    allow_plaintext: bool = False  # beyond loopback without TLS, as behind a proxy that has it
    origins: tuple[str, ...] = ()  # addresses of pages that may connect besides its own
    # names under which the server is asked for; none: any, but without tokens localhost alone
    hosts: tuple[str, ...] = ()
    forwarded: tuple[str, ...] = ()  # addresses or networks of proxies that ask for others
    # who may do what, beyond this machine; none: on this machine everybody may do all
    tokens: tuple[Token, ...] = ()
    records: bool = True  # keep what is decided in every stream
    # days after which a stream's record is deleted, unless it is held; none: when asked to
    records_days: Days | None = 30.0
    # days that the register says of a deleted record what it was and who saw it; none: for ever
    register_days: Days | None = 365.0
    # days that the store's audit log says who did what to whom; none: for ever
    audit_days: Days | None = 730.0
    # keep 10 s of sound around incidents, encrypted, of candidates who agreed to it
    clips: bool = False
    # what becomes of the records of a person who is deleted
    records_on_deletion: Literal["pseudonymise", "delete"] = "pseudonymise"
    # days after which voiceprints are deleted at the latest; none: when asked to
    ttl_days: Days | None = None
    consent_text: Text | None = None  # what is shown before enrolment; none: the text that ships
    consent_version: Text | None = None  # version of an own consent text
    consent_language: Language = "en"  # language of an own consent text, like de or pt-BR
    # days without use after which voiceprints are deleted; none: they stay
    unused_days: Days | None = None
    limits: Limits = Limits()
    incidents: IncidentRules = IncidentRules()
    mqtt: Mqtt | None = None
    openedx: OpenEdx | None = None
    # platforms that send their learners by LTI 1.3; none: nobody comes so
    lti: tuple[Platform, ...] = ()

    def __post_init__(self) -> None:
        if (self.tls_cert is None) != (self.tls_key is None):
            there, lacking = ("tls_cert", "tls_key") if self.tls_cert else ("tls_key", "tls_cert")
            raise ValueError(f"{there}: needs {lacking} beside it")
        if (self.consent_text is None) != (self.consent_version is None):
            there = "consent_text" if self.consent_text else "consent_version"
            raise ValueError(f"{there}: consent_text and consent_version are set together")
        if self.database is not None and not self.database.startswith(POSTGRESQL):
            # It is not told, as there may be a password in it.
            raise ValueError("database: is not like postgresql://USER@HOST/DATABASE")
        if self.hop_s > self.window_s:
            raise ValueError(f"hop_s: {self.hop_s:g} is longer than window_s {self.window_s:g}")
        if self.public_url is not None and not self.public_url.startswith(ADDRESSES):
            raise ValueError(
                f"public_url: {self.public_url!r} is not like https://voice.example.org"
            )
        if self.openedx is not None and not (self.records and self.public_url):
            raise ValueError("openedx: needs public_url, and records = true")
        if self.clips and not self.records:
            raise ValueError("clips: needs records = true")
        if self.lti and not (self.records and self.public_url):
            raise ValueError("lti: needs public_url, and records = true")
        if len({(one.issuer, one.client_id) for one in self.lti}) < len(self.lti):
            raise ValueError("lti: a platform has the same issuer and client_id twice")
        for origin in self.origins:
            if not is_origin(origin):
                raise ValueError(f"origins: {origin!r} is not like https://voice.example.org:8443")
        for network in self.forwarded:
            if not is_network(network):
                raise ValueError(f"forwarded: {network!r} is not like 127.0.0.1 or 10.0.0.0/8")

    @property
    def consent(self) -> ConsentText:
        """What is shown before enrolment, and its version."""
        if self.consent_text is not None and self.consent_version is not None:
            return ConsentText(self.consent_version, self.consent_text)
        return default_text(self.ttl_days)

    @property
    def audit_s(self) -> float | None:
        """How long the store's audit log tells of an act, in seconds; None: for ever."""
        return None if self.audit_days is None else self.audit_days * DAY_S

    def ttl_s(self, asked_days: float | None) -> float | None:
        """How long to keep a voiceprint, in seconds: as asked, at most ``ttl_days``."""
        days = [d for d in (asked_days, self.ttl_days) if d is not None]
        return min(days) * DAY_S if days else None

    def kept(self, asked_days: float | None = None) -> tuple[tuple[str, str], ...]:
        """What is kept of somebody who enrols outside exams, and for how long, as they are told."""
        ttl_s, days = self.ttl_s(asked_days), self.records_days if self.records else 0
        voiceprint = "until it is deleted" if ttl_s is None else f"{ttl_s / DAY_S:g} days"
        if self.unused_days is not None:
            voiceprint += f", and no longer than {self.unused_days:g} days without use"
        record = "until it is deleted" if days is None else f"{days:g} days"
        kept = (("The voiceprint is kept", voiceprint),)
        return (*kept, ("The record of what is decided is kept", record)) if days != 0 else kept


def check_exposure(config: Config) -> None:
    """Raise :class:`ConfigError` when others could reach the server and nothing protects it.

    Loopback needs nothing, unless a proxy asks for others. Elsewhere callers need tokens, and
    tokens need TLS on the way, or the word of whoever set it up that something else protects it.
    """
    own = is_loopback(config.host)
    if own and not config.forwarded:
        return
    lacking = []
    if not config.tokens:
        lacking.append("at least one [[tokens]] entry (name, roles, sha256)")
    if not own and config.tls_cert is None and not config.allow_plaintext:
        lacking.append("tls_cert and tls_key (or allow_plaintext = true behind a TLS proxy)")
    if lacking:
        how = "through the proxies of `forwarded`" if own else f"at host {config.host!r}"
        instead = "forwarded = []" if own else 'host = "127.0.0.1"'
        raise ConfigError(
            f"others can reach the server {how}: set {' and '.join(lacking)}, or {instead}"
        )
