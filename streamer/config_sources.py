"""Where the values of the configuration come from.

A TOML file, then the environment, then the command line; the later wins:

    port = 9000                          VOXWATCH_PORT=9000
    origins = ["https://a.example"]      VOXWATCH_ORIGINS=https://a.example,https://b.example
    [limits]
    streams = 50                         VOXWATCH_LIMITS_STREAMS=50
    [incidents]
    silent_s = 300                       VOXWATCH_INCIDENTS_SILENT_S=300
    [mqtt]
    host = "broker"                      VOXWATCH_MQTT_HOST=broker
    [openedx]
    client_id = "campus"                 VOXWATCH_OPENEDX_CLIENT_ID=campus
    [[tokens]]                           VOXWATCH_TOKENS='[{"name": ..., "roles": [...], ...}]'
    name = "desk"                        (`streamer.server.auth` says how a token is made)
    roles = ["stream", "monitor"]
    sha256 = "..."
    [[lti]]                              VOXWATCH_LTI='[{"issuer": ..., "client_id": ..., ...}]'
    issuer = "https://lms.example"

Paths in the file are relative to its folder. An unknown key is an error wherever it stands.
"""

from __future__ import annotations

import difflib
import json
import logging
import os
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from streamer.config import Config, ConfigError, Limits, Mqtt, OpenEdx
from streamer.lti.platform import Platform
from streamer.records.rules import IncidentRules
from streamer.server.auth import Token

PREFIX = "VOXWATCH_"
# Variables of ours that are no settings: the store's key, the configuration file, and what the
# client's commands read.
NOT_SETTINGS = frozenset(
    {"VOXWATCH_KEY", "VOXWATCH_NEW_KEY", "VOXWATCH_CONFIG", "VOXWATCH_TOKEN", "VOXWATCH_URL"}
)
COMMAND_LINE = "the command line"
# Settings of earlier versions. They still load, with a warning that they do nothing.
RETIRED = frozenset({"glance"})

log = logging.getLogger(__name__)


def find_config(env: Mapping[str, str]) -> Path | None:
    """The configuration file: ``VOXWATCH_CONFIG``, or ``voxwatch/config.toml`` of the user's own.

    None when neither is there; one that is named is returned whether it exists or not.
    """
    if named := env.get("VOXWATCH_CONFIG"):
        return Path(named).expanduser()
    path = _user_folder(env, "XDG_CONFIG_HOME", ".config") / "config.toml"
    return path if path.exists() else None


def load(
    path: Path | None,
    env: Mapping[str, str],
    overrides: Mapping[str, Any],
    warn: Callable[[str], object] = log.warning,
) -> Config:
    """The configuration from the file ``path`` (None: no file), ``env`` and ``overrides``.

    ``overrides`` are by key, a part's as in ``limits.streams``; None means that the option was
    not given. ``warn`` is told of settings that do nothing any more. Raises
    :class:`ConfigError`, one line that names the key and where it stands.
    """
    values: dict[str, _Value] = {}
    if path is not None:
        values.update(_from_file(path))
    values.update(list(_from_environment(env, values)))
    given = {key: value for key, value in overrides.items() if value is not None}
    values.update({key: _Value(value, COMMAND_LINE) for key, value in given.items()})
    for key in RETIRED & values.keys():
        warn(f"{key} (in {values.pop(key).source}) does nothing any more: remove it")
    data_dir = _user_folder(env, "XDG_DATA_HOME", ".local/share")
    values.setdefault("data_dir", _Value(data_dir, "XDG_DATA_HOME"))
    return _build({key: _Value(_convert(key, v), v.source) for key, v in values.items()})


class _Value(NamedTuple):
    """What a source says of one key; ``text`` is read as the key's type wants it."""

    value: Any
    source: str
    text: bool = False
    folder: Path | None = None  # that paths start from


Part = type[Limits] | type[IncidentRules] | type[Mqtt] | type[OpenEdx]
PARTS: dict[str, Part] = {
    "limits": Limits,
    "incidents": IncidentRules,
    "mqtt": Mqtt,
    "openedx": OpenEdx,
}
# What names a variable of the environment, which is no setting itself.
NAMING = ("mqtt.password_env", "openedx.secret_env", "openedx.lms_secret_env")


def _types(record: type[msgspec.Struct], prefix: str = "") -> dict[str, Any]:
    """Type of every key of ``record``."""
    return {prefix + field.name: field.type for field in msgspec.structs.fields(record)}


TYPES = {key: kind for key, kind in _types(Config).items() if key not in PARTS}
for _part, _record in PARTS.items():
    TYPES |= _types(_record, f"{_part}.")


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
    named = {str(values[key].value) for key in NAMING if key in values}
    named |= {env[name] for name, key in keys.items() if key in NAMING and name in env}
    others = {*keys, *NOT_SETTINGS, *named}
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
    if kind in (tuple[Token, ...], tuple[Platform, ...]):
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
    given: dict[str, tuple[Part, dict[str, Any]]] = {}
    for part, record in PARTS.items():
        inner = {k.removeprefix(part + "."): k for k in values if k.startswith(part + ".")}
        lacking = [f"{part}.{name}" for name in _required(record) if name not in inner]
        if inner and lacking:
            key = next(iter(inner.values()))
            wanted = " and ".join(lacking)
            raise ConfigError(f"{key} (in {values[key].source}): needs {wanted} beside it")
        if inner:
            given[part] = (record, {name: values[key].value for name, key in inner.items()})
    try:
        parts: dict[str, Any] = {part: record(**inner) for part, (record, inner) in given.items()}
        return Config(**fields, **parts)
    except ValueError as error:
        key = str(error).partition(":")[0]
        source = f" (in {values[key].source})" if key in values else ""
        raise ConfigError(f"{key}{source}{str(error).removeprefix(key)}") from error


def _required(record: Part) -> list[str]:
    return [field.name for field in msgspec.structs.fields(record) if field.required]


def _like(name: str, known: Mapping[str, Any]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f": did you mean {near[0]}?" if near else ""


def _user_folder(env: Mapping[str, str], variable: str, default: str) -> Path:
    """The user's folder for voxwatch by the XDG base directory specification."""
    home = Path(env["HOME"]) if env.get("HOME") else Path.home()
    return (Path(env[variable]) if env.get(variable) else home / default) / "voxwatch"


class TokenFile:
    """The tokens in ``path``, read again when the file has changed.

    Only tokens are taken from it: other settings hold from the next start on. A file that is
    written in its place is empty for a moment, so a change counts at the second look that finds
    it as it was at the first.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._seen = self._last = self._stamp()

    def __call__(self) -> Sequence[Token] | None:
        """The tokens, or None while the file is as it was, or cannot be read."""
        stamp = self._stamp()
        settled, self._last = stamp == self._last, stamp
        if stamp == self._seen or not settled:
            return None
        self._seen = stamp
        try:
            return load(self._path, os.environ, {}, lambda _: None).tokens
        except ConfigError as error:
            log.warning("the tokens stay as they are: %s", error)
            return None

    def _stamp(self) -> tuple[int, int, int] | None:
        if self._path is None:
            return None
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino
