"""How a voxwatch installation is set up: one frozen record, and where its values come from.

A TOML file, then the environment, then the command line; the later wins:

    port = 9000                          VOXWATCH_PORT=9000
    origins = ["https://a.example"]      VOXWATCH_ORIGINS=https://a.example,https://b.example
    [limits]
    streams = 50                         VOXWATCH_LIMITS_STREAMS=50
    [mqtt]
    host = "broker"                      VOXWATCH_MQTT_HOST=broker
    [[tokens]]                           VOXWATCH_TOKENS='[{"name": ..., "roles": [...], ...}]'
    name = "desk"                        (`streamer.server.auth` says how a token is made)
    roles = ["stream", "monitor"]
    sha256 = "..."

Paths in the file are relative to its folder. An unknown key is an error wherever it stands.
"""

from __future__ import annotations

import difflib
import json
import logging
import os.path
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import msgspec

from engine.errors import VoxwatchError
from streamer.addresses import is_loopback
from streamer.server.auth import Token, is_origin
from streamer.store.consent import ConsentText, default_text
from streamer.store.keys import STORE_FILE
from streamer.wire.requests import ErrorRate, Hop, Window

DAY_S = 86400.0
PREFIX = "VOXWATCH_"
# Variables of ours that are no settings: the store's key, the configuration file, and what the
# client's commands read.
NOT_SETTINGS = frozenset({"VOXWATCH_KEY", "VOXWATCH_CONFIG", "VOXWATCH_TOKEN", "VOXWATCH_URL"})
COMMAND_LINE = "the command line"
# Settings of earlier versions. They still load, with a warning that they do nothing.
RETIRED = frozenset({"glance"})

log = logging.getLogger(__name__)

Count = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]
Seconds = Annotated[float, msgspec.Meta(gt=0, le=1e9)]
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
    streams: Count = 200
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


def find_config(env: Mapping[str, str]) -> Path | None:
    """The configuration file: ``VOXWATCH_CONFIG``, or ``voxwatch/config.toml`` of the user's own.

    None when neither is there; one that is named is returned whether it exists or not.
    """
    if named := env.get("VOXWATCH_CONFIG"):
        return Path(named).expanduser()
    path = _user_folder(env, "XDG_CONFIG_HOME", ".config") / "config.toml"
    return path if path.exists() else None


def load(path: Path | None, env: Mapping[str, str], overrides: Mapping[str, Any]) -> Config:
    """The configuration from the file ``path`` (None: no file), ``env`` and ``overrides``.

    ``overrides`` are by key, a part's as in ``limits.streams``; None means that the option was
    not given. Raises :class:`ConfigError`, one line that names the key and where it stands.
    """
    values: dict[str, _Value] = {}
    if path is not None:
        values.update(_from_file(path))
    values.update(list(_from_environment(env, values)))
    given = {key: value for key, value in overrides.items() if value is not None}
    values.update({key: _Value(value, COMMAND_LINE) for key, value in given.items()})
    for key in RETIRED & values.keys():
        log.warning("%s (in %s) does nothing any more: remove it", key, values.pop(key).source)
    data_dir = _user_folder(env, "XDG_DATA_HOME", ".local/share")
    values.setdefault("data_dir", _Value(data_dir, "XDG_DATA_HOME"))
    return _build({key: _Value(_convert(key, v), v.source) for key, v in values.items()})


class _Value(NamedTuple):
    """What a source says of one key; ``text`` is read as the key's type wants it."""

    value: Any
    source: str
    text: bool = False
    folder: Path | None = None  # that paths start from


PARTS: dict[str, type[Limits] | type[Mqtt]] = {"limits": Limits, "mqtt": Mqtt}


def _types(record: type[msgspec.Struct], prefix: str = "") -> dict[str, Any]:
    """Type of every key of ``record``."""
    return {prefix + field.name: field.type for field in msgspec.structs.fields(record)}


TYPES = {key: kind for key, kind in _types(Config).items() if key not in PARTS}
TYPES |= _types(Limits, "limits.") | _types(Mqtt, "mqtt.")


def _from_file(path: Path) -> Iterator[tuple[str, _Value]]:
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read the configuration {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"the configuration {path} is not TOML: {error}") from error
    for key, value in content.items():
        if key not in PARTS:
            yield key, _Value(value, str(path), folder=path.parent)
        elif isinstance(value, dict):
            yield from ((f"{key}.{k}", _Value(v, str(path))) for k, v in value.items())
        else:
            raise ConfigError(f"{key} (in {path}): is a table, [{key}]")


def _from_environment(
    env: Mapping[str, str], values: Mapping[str, _Value]
) -> Iterator[tuple[str, _Value]]:
    keys = {PREFIX + key.replace(".", "_").upper(): key for key in (*TYPES, *RETIRED)}
    for name in sorted(env):
        if name in keys:
            yield keys[name], _Value(env[name], f"environment variable {name}", text=True)
    password = values.get("mqtt.password_env", _Value(None, ""))
    others = {*keys, *NOT_SETTINGS, env.get(f"{PREFIX}MQTT_PASSWORD_ENV"), str(password.value)}
    for name in sorted(env):
        if name.startswith(PREFIX) and name not in others:
            raise ConfigError(f"the environment variable {name} sets nothing{_like(name, keys)}")


def _convert(key: str, value: _Value) -> Any:
    """The value as its key wants it."""
    if key not in TYPES:
        raise ConfigError(f"{key} (in {value.source}): there is no such key{_like(key, TYPES)}")
    try:
        given = _parse(value.value, TYPES[key]) if value.text else value.value
        converted = msgspec.convert(given, TYPES[key], strict=not value.text, dec_hook=_path)
    except (msgspec.ValidationError, json.JSONDecodeError) as error:
        reason = str(error).removesuffix(" - at `$`")
        raise ConfigError(f"{key} (in {value.source}): {reason}") from error
    if isinstance(converted, Path):
        converted = (value.folder or Path()) / os.path.expanduser(converted)
    return converted


def _parse(text: str, kind: Any) -> Any:
    """Text of the environment, as far as it is no single value."""
    if kind == tuple[Token, ...]:
        return json.loads(text)
    if kind == tuple[str, ...]:
        return [part.strip() for part in text.split(",") if part.strip()]
    return text


def _path(kind: type, value: Any) -> Any:
    """What msgspec asks for types that it does not know: here only paths."""
    if kind is Path and isinstance(value, str | Path) and str(value):
        return Path(value)
    raise ValueError("Expected a path")


def _build(values: Mapping[str, _Value]) -> Config:
    fields: dict[str, Any] = {k: v.value for k, v in values.items() if "." not in k}
    for part, record in PARTS.items():
        inner = {k.removeprefix(part + "."): k for k in values if k.startswith(part + ".")}
        if part == "mqtt" and inner and "host" not in inner:
            key = next(iter(inner.values()))
            raise ConfigError(f"{key} (in {values[key].source}): needs mqtt.host beside it")
        if inner:
            fields[part] = record(**{name: values[key].value for name, key in inner.items()})
    try:
        return Config(**fields)
    except ValueError as error:
        key = str(error).partition(":")[0]
        source = f" (in {values[key].source})" if key in values else ""
        raise ConfigError(f"{key}{source}{str(error).removeprefix(key)}") from error


def _like(name: str, known: Mapping[str, Any]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f": did you mean {near[0]}?" if near else ""


def _user_folder(env: Mapping[str, str], variable: str, default: str) -> Path:
    """The user's folder for voxwatch by the XDG base directory specification."""
    home = Path(env["HOME"]) if env.get("HOME") else Path.home()
    return (Path(env[variable]) if env.get(variable) else home / default) / "voxwatch"
