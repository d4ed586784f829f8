"""Text of the wire made into messages and requests, checked. Sans-IO.

Whatever cannot be read raises :class:`WireError` and nothing else.
"""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Iterator, Mapping
from typing import Any, get_args, get_type_hints

import msgspec

from streamer.wire.client_message import MAX_NAME
from streamer.wire.errors import WireError
from streamer.wire.requests import (
    CONTROLS,
    REQUESTS,
    Claim,
    Request,
    StartEnroll,
    StartStream,
    StreamControl,
    VerifyRecording,
)
from streamer.wire.unknown import MAX_TOLD, unknown, unreadable

MAX_PARAMETERS = 32  # of a query string
INTEGERS = frozenset({"sample_rate", "channels", "channel", "resume_from"})
WHOLE = re.compile(r"[0-9]+\.0+")


class Target(msgspec.Struct, frozen=True):
    """A request's path, its query, and the token which the query may carry."""

    path: str
    query: dict[str, str]
    token: str | None


def parse_target(target: str) -> Target:
    """The target of a GET request. Raises :class:`WireError` ``bad-parameter``."""
    path, _, text = target.partition("?")
    try:
        pairs = urllib.parse.parse_qsl(
            text, keep_blank_values=True, errors="strict", max_num_fields=MAX_PARAMETERS
        )
        query = dict(pairs)
        path = urllib.parse.unquote(path, errors="strict")
    except ValueError as error:
        message = "the address cannot be read: percent-encode names as UTF-8"
        raise WireError("bad-parameter", message) from error
    if len(query) != len(pairs):
        raise WireError("bad-parameter", "a parameter is given twice: give each once")
    return Target(path, query, token=query.pop("token", None))


def start_from_query(query: Mapping[str, str]) -> StartStream:
    """A stream's start from the parameters of its address."""
    _check_names(query, StartStream)
    return _checked(_converted(dict(query), StartStream, strict=False))


def verification_from_query(query: Mapping[str, str]) -> VerifyRecording:
    """What is asked of a recording, from the parameters of the address."""
    _check_names(query, VerifyRecording)
    found: VerifyRecording = _converted(dict(query), VerifyRecording, strict=False)
    return found


def parse_start(text: str) -> StartStream:
    """A stream's first message. Raises :class:`WireError`."""
    return _checked(_converted(_start_fields(text), StartStream))


def parse_enrolment(text: str) -> StartEnroll:
    """An enrolment's first message. Raises :class:`WireError`."""
    start: StartEnroll = _converted(_start_fields(text), StartEnroll)
    _check_channel(start)
    if start.consent is None or not start.consent.given:
        raise WireError(
            "consent-missing",
            'the person has to agree first: send consent {"given": true, "text_version": ...}',
        )
    return start


def parse_control(text: str) -> StreamControl:
    """A message after the start. Raises :class:`WireError`."""
    fields = _object(text, "bad-message")
    kind = fields.get("type")
    if kind == "start":
        raise WireError("second-start", "the stream has started already: open another connection")
    if not (isinstance(kind, str) and kind in CONTROLS):
        known = ", ".join(sorted(CONTROLS))
        told = f"the type of a message is one of {known}; finalize ends the sound"
        raise unknown(text, fields, "unknown-control", told)
    control: StreamControl = _converted(fields, StreamControl)
    return control


def claims_of(claim: Claim, most: int) -> tuple[str, ...]:
    """The names in a claim, each once, in order: a JSON list, or separated by commas.

    Raises :class:`WireError`.
    """
    names: Any = claim
    if isinstance(claim, str):
        is_list = claim.lstrip().startswith("[")
        names = _json(claim, "bad-parameter") if is_list else claim.split(",", most + 1)
    if not (isinstance(names, list) and all(isinstance(name, str) for name in names)):
        raise WireError("bad-parameter", "claim is names, separated by commas or as a JSON list")
    if len(names) > most:
        message = f"a stream may claim up to {most} names at a time (limits.claims)"
        raise WireError("too-many-claims", message)
    stripped = [name.strip() for name in names]
    if any(len(name) > MAX_NAME for name in stripped):
        raise WireError("bad-parameter", f"a name has up to {MAX_NAME} characters")
    found = tuple(dict.fromkeys(name for name in stripped if name))
    # To claim nobody is to ask who of all enrolled it is: nobody does so by a blank name.
    if names and claim != "" and not found:
        message = "claim holds no name: give one, or leave it out to be told who of all it is"
        raise WireError("bad-parameter", message)
    return found


class Call(msgspec.Struct, frozen=True):
    """A request and the id to answer it with, whatever JSON the client chose."""

    id: Any
    request: Request


def parse_request(text: str) -> Call:
    """A message on the control connection. Raises :class:`WireError`, with the id if read."""
    fields = _object(text, "bad-message")
    number = fields.pop("id", None)
    kind = fields.get("type")
    if not (isinstance(kind, str) and kind in REQUESTS):
        known = ", ".join(sorted(REQUESTS))
        raise WireError("unknown-control", f"the type of a request is one of {known}", number)
    try:
        return Call(number, _converted(fields, Request))
    except WireError as error:
        error.request_id = number
        raise


_CODE_OF_FIELD = {"encoding": "unknown-encoding", "sample_rate": "bad-rate", "name": "bad-name"}


def _json(text: str, code: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except (ValueError, RecursionError) as error:
        raise unreadable(text, code, error) from error


def _object(text: str, code: str) -> dict[str, Any]:
    found = _json(text, "bad-message")
    if not isinstance(found, dict):
        raise unknown(text, found, code, 'a message is a JSON object with a "type"')
    return found


def _integral(value: Any) -> Any:
    """Numbers like ``16000.0``, as some languages write all of theirs, are whole."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and WHOLE.fullmatch(value):
        return value.partition(".")[0]
    return value


def _start_fields(text: str) -> dict[str, Any]:
    fields = _object(text, "bad-start")
    if fields.get("type") != "start":
        told = 'the first message has to be {"type": "start", ...}'
        raise unknown(text, fields, "bad-start", told)
    del fields["type"]
    return fields


def _converted(fields: dict[str, Any], kind: Any, *, strict: bool = True) -> Any:
    fields |= {name: _integral(fields[name]) for name in INTEGERS & fields.keys()}
    try:
        return msgspec.convert(fields, kind, strict=strict)
    except (ValueError, RecursionError) as error:
        what, _, where = str(error).rpartition(" - at `$.")
        path = where.partition("`")[0]
        code = _CODE_OF_FIELD.get(path.partition(".")[0], "bad-parameter")
        told = f"{path}: {what[:1].lower()}{what[1:]}" if what else str(error)
        raise WireError(code, told[:MAX_TOLD] + _choices(kind, path)) from error


def _choices(kind: Any, path: str) -> str:
    """What a field may be, where it is one of a few words."""
    hint = get_type_hints(kind).get(path) if isinstance(kind, type) else None
    words = [one for one in _flat(hint) if isinstance(one, str)]
    return f"; it is one of {', '.join(words)}" if words else ""


def _flat(hint: Any) -> Iterator[Any]:
    parts = get_args(hint)
    for part in parts:
        yield from _flat(part)
    if not parts:
        yield hint


def _check_names(query: Mapping[str, str], kind: type[msgspec.Struct]) -> None:
    known = {field.encode_name for field in msgspec.structs.fields(kind)}
    if unknown := sorted(query.keys() - known):
        names = ", ".join(repr(name[:MAX_NAME]) for name in unknown)
        message = f"unknown in the address: {names}; known are {', '.join(sorted(known))}"
        raise WireError("bad-parameter", message)


def _checked(start: StartStream) -> StartStream:
    _check_channel(start)
    if (start.session is None) != (start.resume_from is None):
        raise WireError("bad-parameter", "session and resume_from belong together")
    return start


def _check_channel(start: StartStream | StartEnroll) -> None:
    if start.encoding != "opus" and start.channel >= start.channels:
        most = start.channels - 1
        raise WireError("bad-parameter", f"channels count from 0 to {most}")
