"""Who may do what: tokens with roles, single-use tokens for URLs, and the Origin check.

A token is a long random text that its holder keeps; the server keeps its sha256 only, so
that reading the configuration gives nobody a token. Make one with

    openssl rand -hex 32                         the token
    printf %s TOKEN | sha256sum                  what goes into the configuration

A browser cannot send a header with a WebSocket, and an address ends up in logs and
histories: it gets a token that works once, within a minute.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Annotated, get_args
from urllib.parse import SplitResult, urlsplit

import msgspec

from streamer.wire.requests import Role

ROLES: frozenset[Role] = frozenset(get_args(Role))
NOBODY: frozenset[Role] = frozenset()
URL_TOKEN_S = 60.0
URL_TOKENS_HELD = 1024  # beyond it the oldest is dropped: its holder asks for another
DEFAULT_PORTS = {"http": 80, "https": 443}


class Token(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A token as the configuration knows it: a name for people, its roles, its sha256 in hex."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    roles: Annotated[tuple[Role, ...], msgspec.Meta(min_length=1)]
    sha256: Annotated[str, msgspec.Meta(pattern="^[0-9a-fA-F]{64}$")]

    def __repr__(self) -> str:
        # A weak token could be guessed from its sha256: it stays out of logs.
        return f"Token(name={self.name!r}, roles={self.roles!r})"


@dataclass(frozen=True, slots=True)
class _UrlToken:
    digest: bytes
    role: Role
    expires_at: float
    holder: str  # of the token that it was minted with


class Auth:
    """Roles of callers. For one thread: the event loop's.

    ``secret`` makes the tokens that it mints. ``open_loopback`` says that only this machine can
    connect: then, as long as no token is configured, everybody has every role.
    """

    def __init__(
        self,
        tokens: Sequence[Token],
        secret: Callable[[], str] = secrets.token_urlsafe,
        *,
        open_loopback: bool,
    ) -> None:
        self._secret = secret
        self._tokens = [(bytes.fromhex(t.sha256), frozenset(t.roles)) for t in tokens]
        self._holders = {
            bytes.fromhex(t.sha256): f"token {t.name} ({t.sha256[:8].lower()})" for t in tokens
        }
        self._open = open_loopback and not tokens
        self._url_tokens: list[_UrlToken] = []  # oldest first, URL_TOKENS_HELD at most

    @property
    def required(self) -> bool:
        """Whether a caller without a token may do nothing."""
        return not self._open

    def roles_of(self, bearer: str | None) -> frozenset[Role]:
        """Roles of a configured token, none for an unknown one or without any."""
        if self._open:
            return ROLES
        if bearer is None:
            return NOBODY
        digest = _digest(bearer)
        roles = NOBODY
        for known, its_roles in self._tokens:  # to the end: the time taken tells nothing
            if hmac.compare_digest(known, digest):
                roles = roles | its_roles
        return roles

    def holder_of(self, bearer: str | None, url_token: str | None = None) -> str:
        """Who shows these, for the audit log: the token's name and the start of its sha256."""
        for minted in self._url_tokens if url_token is not None else ():
            if hmac.compare_digest(minted.digest, _digest(url_token or "")):
                return minted.holder
        known = None if bearer is None else self._holders.get(_digest(bearer))
        return known or "somebody without a token"

    def mint(self, role: Role, now: float, holder: str = "") -> str:
        """A token for one connection with ``role`` within 60 s of ``now`` (seconds, any clock).

        The caller has checked that whoever asks has that role.
        """
        token = self._secret()
        self._url_tokens = [held for held in self._url_tokens if held.expires_at > now]
        self._url_tokens.append(_UrlToken(_digest(token), role, now + URL_TOKEN_S, holder))
        del self._url_tokens[:-URL_TOKENS_HELD]
        return token

    def redeem(self, token: str, now: float) -> frozenset[Role]:
        """The role of a minted token, once; none when it is unknown, used or too old."""
        digest = _digest(token)
        found = [t for t in self._url_tokens if hmac.compare_digest(t.digest, digest)]
        if not found:
            return NOBODY
        self._url_tokens.remove(found[0])
        return frozenset({found[0].role}) if found[0].expires_at > now else NOBODY


def origin_allowed(origin: str | None, host: str, allowed: Sequence[str]) -> bool:
    """Whether a request with these ``Origin`` and ``Host`` headers may go on.

    Programs send no origin. A browser's must be one of ``allowed``, or the server's own
    when that is ``localhost`` or an address in figures: a page of any other name could have
    it point here (DNS rebinding) and would then look like our own.
    """
    if origin is None:
        return True
    place = _place(origin)
    if place is None:
        return False
    if any(place == _place(entry) for entry in allowed):
        return True
    scheme = origin.partition(":")[0].lower()
    return place == _place(f"{scheme}://{host}") and _cannot_be_rebound(place[1])


def is_origin(text: str) -> bool:
    """Whether ``text`` is an origin as a browser sends it: ``https://voice.example.org``."""
    return _place(text) is not None


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def _place(origin: str) -> tuple[str, str, int] | None:
    """Scheme, host name and port of an origin, or None when it is none."""
    try:
        parts = urlsplit(origin)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname or not _is_bare(parts):
        return None
    return parts.scheme, parts.hostname, DEFAULT_PORTS[parts.scheme] if port is None else port


def _is_bare(parts: SplitResult) -> bool:
    return not (parts.path or parts.query or parts.fragment or "@" in parts.netloc)


def _cannot_be_rebound(hostname: str) -> bool:
    if hostname == "localhost":
        return True
    try:
        ip_address(hostname)
    except ValueError:
        return False
    return True
