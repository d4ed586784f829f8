"""Who may do what: tokens with roles, and single-use tokens for URLs.

A token is a long random text that its holder keeps; the server keeps its sha256 only, so
that reading the configuration gives nobody a token. Make one with

    openssl rand -hex 32                         the token
    printf %s TOKEN | sha256sum                  what goes into the configuration

A browser cannot send a header with a WebSocket, and an address ends up in logs and
histories: it gets a token that works once, within a minute, for one role, and that opens
nothing else.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Annotated, Any, Protocol, get_args

import msgspec

from streamer.exams.exam import Seat
from streamer.wire.requests import ErrorRate, Role

ROLES: frozenset[Role] = frozenset(get_args(Role))
NOBODY: frozenset[Role] = frozenset()
URL_TOKEN_S = 60.0
WARNED_S = 7 * 86400.0  # so long before a token expires whoever can make another is told
URL_TOKENS_EACH = 64  # of one holder; beyond it the holder's oldest is dropped


class Token(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A token as the configuration knows it: a name for people, its roles, its sha256 in hex.

    It works until ``expires``. Its streams may ask for a ``false_accept`` up to this one's, and
    with ``scores`` false they are told states and no figures that an attacker could climb by.
    """

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    roles: Annotated[tuple[Role, ...], msgspec.Meta(min_length=1)]
    sha256: Annotated[str, msgspec.Meta(pattern="^[0-9a-fA-F]{64}$")]
    expires: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    false_accept: ErrorRate | None = None
    scores: bool = True

    def is_due(self, now: float) -> bool:
        """Whether it has expired by ``now`` (seconds since 1970), or does within days."""
        return self.expires is not None and self.expires.timestamp() - WARNED_S <= now

    def end(self, now: float) -> str:
        """When it expires, in words; of one that does."""
        assert self.expires is not None
        at = f"{self.expires.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
        left_s = self.expires.timestamp() - now
        if left_s <= 0:
            return f"token {self.name} expired on {at}"
        left = f"{left_s / 86400:.0f} days"
        if left_s < 2 * 86400:
            left = "an hour" if left_s < 5400 else f"{left_s / 3600:.0f} hours"
        return f"token {self.name} expires in {left}, on {at}"

    def __repr__(self) -> str:
        # A weak token could be guessed from its sha256: it stays out of logs.
        return f"Token(name={self.name!r}, roles={self.roles!r})"


@dataclass(frozen=True, slots=True)
class Grant:
    """What somebody may do who has shown a token, or who needs none.

    ``holder`` is the token's name, empty where none is needed. With a ``seat`` it was a candidate's
    link: whoever has it is that one candidate, in that one exam.
    """

    roles: frozenset[Role] = NOBODY
    holder: str = ""
    false_accept: float | None = None
    scores: bool = True
    digest: bytes = field(default=b"", repr=False)  # of the token, also of what was minted by it
    seat: Seat | None = None

    def telling(self) -> dict[str, Any]:
        """For another worker, as JSON has it."""
        fields: dict[str, Any] = msgspec.to_builtins(self)
        return fields | {"digest": self.digest.hex()}

    @classmethod
    def told(cls, fields: dict[str, Any]) -> Grant:
        """What another worker told."""
        digest = bytes.fromhex(fields["digest"])
        seat = msgspec.convert(fields["seat"], Seat | None)
        roles = frozenset(fields["roles"])
        return cls(**fields | {"roles": roles, "digest": digest, "seat": seat})

    @property
    def who(self) -> str:
        """For the audit log, and to count by: the token's name and the start of its sha256."""
        if not self.holder:
            return "somebody without a token"
        kind = "link of candidate" if self.seat is not None else f"token {self.holder}"
        return f"{kind} ({self.digest.hex()[:8]})"


@dataclass(frozen=True, slots=True)
class _UrlToken:
    digest: bytes
    role: Role
    of: Grant
    expires_at: float


class Links(Protocol):
    """Candidate links, which are tokens that no configuration has."""

    def grant(self, token: str, now: float) -> Grant | None:
        """What a link allows; None for a token that is no link."""

    def holds(self, seat: Seat, now: float) -> bool:
        """Whether what a link allowed is so still."""


class Auth:
    """Grants of callers. For one thread: the event loop's.

    ``secret`` makes the tokens that it mints. ``open_loopback`` says that only this machine can
    connect: then, as long as no token is configured, everybody has every role, but for who comes
    by one of the ``links``. ``now`` is in seconds since 1970.
    """

    def __init__(
        self,
        tokens: Sequence[Token],
        secret: Callable[[], str] = secrets.token_urlsafe,
        *,
        open_loopback: bool,
        links: Links | None = None,
    ) -> None:
        self._links = links
        self._secret = secret
        self._open = open_loopback and not tokens
        self._url_tokens: list[_UrlToken] = []  # oldest first, URL_TOKENS_EACH of a holder at most
        self._tokens: list[tuple[bytes, Token]] = []
        self.replace(tokens)

    def replace(self, tokens: Sequence[Token]) -> None:
        """Know these tokens from now on. A server that was open stays so, and any other shut."""
        self._tokens = [] if self._open else [(bytes.fromhex(t.sha256), t) for t in tokens]

    @property
    def required(self) -> bool:
        """Whether a caller without a token may do nothing."""
        return not self._open

    def grant(self, bearer: str | None, now: float) -> Grant:
        """What the holder of a token may do: nothing, where it is unknown or has expired."""
        link = self._links.grant(bearer, now) if bearer and self._links is not None else None
        if link is not None:
            return link
        if self._open:
            return Grant(ROLES)
        return Grant() if bearer is None else self._known(token_digest(bearer), now)

    def still_holds(self, grant: Grant, now: float) -> bool:
        """Whether what was granted is so still: tokens expire, and are taken out."""
        if grant.seat is not None:
            return self._links is not None and self._links.holds(grant.seat, now)
        return self._open or grant.roles <= self._known(grant.digest, now).roles

    def due(self, now: float) -> list[Token]:
        """Tokens that have expired, or do within days, soonest first."""
        due = [token for _, token in self._tokens if token.is_due(now)]
        return sorted(due, key=lambda token: token.expires or datetime.max.replace(tzinfo=UTC))

    def expiring(self, grants: Sequence[Grant], now: float) -> list[dict[str, Any]]:
        """Those as their holder is told, and of all whoever may make others: an admin."""
        shown = {grant.digest for grant in grants}
        everybody = any("admin" in grant.roles for grant in grants)
        return [
            {"name": t.name, "roles": t.roles, "expires_at": t.expires.timestamp(), "own": own}
            for t in self.due(now)
            if t.expires is not None
            if (own := bytes.fromhex(t.sha256) in shown) or everybody
        ]

    def mint(self, grant: Grant, role: Role, now: float) -> str:
        """A token for one connection with ``role`` within 60 s of ``now`` (seconds, any clock).

        The caller has checked that whoever asks has that role.
        """
        token = self._secret()
        held = [one for one in self._url_tokens if one.expires_at > now]
        own = [one for one in held if one.of.who == grant.who]
        for oldest in own[: max(0, len(own) - URL_TOKENS_EACH + 1)]:
            held.remove(oldest)
        self._url_tokens = [*held, _UrlToken(token_digest(token), role, grant, now + URL_TOKEN_S)]
        return token

    def redeem(self, token: str, now: float) -> Grant:
        """The grant of a minted token, once; of nothing when it is unknown, used or too old."""
        digest = token_digest(token)
        found = [t for t in self._url_tokens if hmac.compare_digest(t.digest, digest)]
        if not found:
            return Grant()
        self._url_tokens.remove(found[0])
        of = found[0].of
        if found[0].expires_at <= now:
            return Grant()
        return replace(of, roles=frozenset({found[0].role}))

    def _known(self, digest: bytes, now: float) -> Grant:
        found = Grant()
        for known, token in self._tokens:  # to the end: the time taken tells nothing
            expired = token.expires is not None and token.expires.timestamp() <= now
            if hmac.compare_digest(known, digest) and not expired:
                rates = [r for r in (found.false_accept, token.false_accept) if r is not None]
                found = Grant(
                    found.roles | frozenset(token.roles),
                    found.holder or token.name,
                    min(rates, default=None),
                    found.scores and token.scores,
                    digest=digest,
                )
        return found


def token_digest(token: str) -> bytes:
    """By which a token is known: its sha256."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
