"""What a client says in wire version 1, checked, sans-IO: starts, controls, requests.

Whatever cannot be read raises :class:`WireError` and nothing else.
"""

from __future__ import annotations

import urllib.parse
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec

from engine.audio.pcm import HIGHEST_RATE_HZ, LOWEST_RATE_HZ, MOST_CHANNELS, Encoding
from streamer.wire.messages import MAX_TOLD, WireError

MAX_NAME = 64  # characters of a speaker's name and of a stream's label
MAX_PARAMETERS = 32  # of a query string


class _ClientMessage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of what clients send: an unknown field is an error, never ignored."""


Rate = Annotated[int, msgspec.Meta(ge=LOWEST_RATE_HZ, le=HIGHEST_RATE_HZ)]
Channels = Annotated[int, msgspec.Meta(ge=1, le=MOST_CHANNELS)]
Channel = Annotated[int, msgspec.Meta(ge=0, lt=MOST_CHANNELS)]
ErrorRate = Annotated[float, msgspec.Meta(gt=0, lt=0.5)]
Claim = str | list[str]


class StartStream(_ClientMessage, frozen=True, kw_only=True):
    """The format of the sound and what to say of it; with ``session`` a dropped stream goes on.

    A session that goes on keeps what it was started with: of a start that resumes only
    ``session`` and ``resume_from``, the first sequence number the client lacks, count.
    """

    encoding: Encoding = "pcm_s16le"
    sample_rate: Rate = 16_000
    channels: Channels = 1
    channel: Channel = 0
    claim: Claim = ""
    window_s: Annotated[float, msgspec.Meta(ge=2, le=5)] | None = None
    hop_s: Annotated[float, msgspec.Meta(ge=0.25, le=5)] | None = None
    false_accept: ErrorRate | None = None
    miss: ErrorRate | None = None
    label: Annotated[str, msgspec.Meta(max_length=MAX_NAME)] = ""
    session: Annotated[str, msgspec.Meta(min_length=1, max_length=128)] | None = None
    resume_from: Annotated[int, msgspec.Meta(ge=0)] | None = None


class GivenConsent(_ClientMessage, frozen=True, kw_only=True):
    """That the person agreed, and to which text."""

    given: bool
    text_version: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_NAME)]


class StartEnroll(_ClientMessage, frozen=True, kw_only=True):
    """Whose voice it is, that they agreed, and the format of the sound."""

    name: str
    consent: GivenConsent | None = None
    ttl_days: Annotated[float, msgspec.Meta(gt=0, le=36_500)] | None = None
    add: bool = False
    encoding: Encoding = "pcm_s16le"
    sample_rate: Rate = 16_000
    channels: Channels = 1
    channel: Channel = 0


class Finalize(_ClientMessage, frozen=True, kw_only=True, tag="finalize"):
    """The end of the sound: everything received is scored, then the summary."""


class Close(_ClientMessage, frozen=True, kw_only=True, tag="close"):
    """The end, now: the summary of what is known."""


class Keepalive(_ClientMessage, frozen=True, kw_only=True, tag="keepalive"):
    """No sound for now, but do not take the stream for idle."""


class Configure(_ClientMessage, frozen=True, kw_only=True, tag="configure"):
    """Other bounds or another claim from here on; what is ``None`` stays."""

    false_accept: ErrorRate | None = None
    miss: ErrorRate | None = None
    claim: Claim | None = None


StreamControl = Finalize | Close | Keepalive | Configure
CONTROLS = frozenset({"finalize", "close", "keepalive", "configure"})


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
    return _checked(_converted(dict(query), StartStream, strict=False))


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
        raise WireError("unknown-control", f"the type of a message is one of {known}")
    control: StreamControl = _converted(fields, StreamControl)
    return control


def claims_of(claim: Claim, most: int) -> tuple[str, ...]:
    """The names in a claim, each once, in order: a JSON list, or separated by commas."""
    names: Any = claim
    if isinstance(claim, str):
        is_list = claim.lstrip().startswith("[")
        names = _json(claim, "bad-parameter") if is_list else claim.split(",", most + 1)
    if not (isinstance(names, list) and all(isinstance(name, str) for name in names)):
        raise WireError("bad-parameter", "claim is names, separated by commas or as a JSON list")
    if len(names) > most:
        raise WireError("too-many-claims", f"a stream may claim up to {most} names at a time")
    stripped = [name.strip() for name in names]
    if any(len(name) > MAX_NAME for name in stripped):
        raise WireError("bad-parameter", f"a name has up to {MAX_NAME} characters")
    return tuple(dict.fromkeys(name for name in stripped if name))


class Authenticate(_ClientMessage, frozen=True, kw_only=True, tag="authenticate"):
    """From here on the connection has the roles of this token."""

    token: str


class Status(_ClientMessage, frozen=True, kw_only=True, tag="status"):
    """The server's state, limits and consent text."""


class ListStreams(_ClientMessage, frozen=True, kw_only=True, tag="streams"):
    """The streams that are open."""


class ListProfiles(_ClientMessage, frozen=True, kw_only=True, tag="profiles"):
    """Who is enrolled."""


class ShowProfile(_ClientMessage, frozen=True, kw_only=True, tag="profile"):
    """One person's profile."""

    name: str


class Export(_ClientMessage, frozen=True, kw_only=True, tag="export"):
    """All that is kept of one person."""

    name: str


class Delete(_ClientMessage, frozen=True, kw_only=True, tag="delete"):
    """Forget one person for good."""

    name: str


class UrlToken(_ClientMessage, frozen=True, kw_only=True, tag="url_token"):
    """A token for one address, which a browser can open: it cannot send the header."""

    role: Literal["stream", "enrol", "monitor", "admin"]


Request = (
    Authenticate | Status | ListStreams | ListProfiles | ShowProfile | Export | Delete | UrlToken
)
REQUESTS = frozenset(
    {"authenticate", "status", "streams", "profiles", "profile", "export", "delete", "url_token"}
)


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
        raise WireError(code, f"the message is not JSON: {str(error)[:MAX_TOLD]}") from error


def _object(text: str, code: str) -> dict[str, Any]:
    found = _json(text, "bad-message")
    if not isinstance(found, dict):
        raise WireError(code, 'a message is a JSON object with a "type"')
    return found


def _start_fields(text: str) -> dict[str, Any]:
    fields = _object(text, "bad-start")
    if fields.pop("type", None) != "start":
        raise WireError("bad-start", 'the first message has to be {"type": "start", ...}')
    return fields


def _converted(fields: dict[str, Any], kind: Any, *, strict: bool = True) -> Any:
    try:
        return msgspec.convert(fields, kind, strict=strict)
    except (ValueError, RecursionError) as error:
        what, _, where = str(error).rpartition(" - at `$.")
        path = where.partition("`")[0]
        code = _CODE_OF_FIELD.get(path.partition(".")[0], "bad-parameter")
        told = f"{path}: {what[:1].lower()}{what[1:]}" if what else str(error)
        raise WireError(code, told[:MAX_TOLD]) from error


def _checked(start: StartStream) -> StartStream:
    _check_channel(start)
    if (start.session is None) != (start.resume_from is None):
        raise WireError("bad-parameter", "session and resume_from belong together")
    return start


def _check_channel(start: StartStream | StartEnroll) -> None:
    if start.channel >= start.channels:
        most = start.channels - 1
        raise WireError("bad-parameter", f"channels count from 0 to {most}")
