"""The client that Open edX is to us: its id, its secret, and the tokens that follow from them."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

import msgspec

from streamer.edx import jwt
from streamer.edx.errors import Unauthorised

ACCESS_S = 3600.0  # that an access token holds
VISIT_S = 3600.0  # that an instructor may look around after coming from Open edX
ISSUED_S = 300.0  # the longest that a link to the instructor's page may hold
SCHEMES = ("jwt", "bearer")


class AccessToken(msgspec.Struct, frozen=True, kw_only=True):
    """What `/oauth2/access_token` answers (RFC 6749, section 5.1)."""

    access_token: str
    expires_in: int
    token_type: str = "JWT"
    scope: str = "read write"


class Visit(msgspec.Struct, frozen=True, kw_only=True):
    """What an instructor may see: a course, or one exam of it, or one attempt, by our ids."""

    course: str
    exam: str | None = None
    attempt: str | None = None


@dataclass(frozen=True)
class EdxClient:
    """One installation of Open edX. ``now`` is in seconds since 1970 everywhere.

    Tokens of each kind have a key of their own, so that none passes for another. Open edX itself
    signs the links to the instructor's page with the secret.
    """

    id: str
    secret: str = field(repr=False)

    def access(self, form: bytes, now: float) -> AccessToken:
        """A token for whoever shows id and secret in a form. Raises :class:`Unauthorised`."""
        fields = {name: values[-1] for name, values in _form(form).items()}
        if fields.get("grant_type") != "client_credentials":
            raise Unauthorised("grant_type has to be client_credentials")
        shown = (fields.get("client_id", ""), fields.get("client_secret", ""))
        if not all(map(_same, shown, (self.id, self.secret))):
            raise Unauthorised("client_id and client_secret are none that are known")
        claims = {"iss": "voxwatch", "sub": self.id, "exp": int(now + ACCESS_S)}
        token = jwt.sign(claims, self._key("access"))
        return AccessToken(access_token=token, expires_in=int(ACCESS_S))

    def check(self, authorization: str, now: float) -> None:
        """Raises :class:`Unauthorised` for a header without an access token of this client."""
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() not in SCHEMES:
            raise Unauthorised("this needs a token of /oauth2/access_token")
        if jwt.read(token.strip(), self._key("access"), now).get("sub") != self.id:
            raise Unauthorised("the token is another client's")

    def visit(self, client: str, token: str, now: float) -> tuple[Visit, str, float]:
        """What the link of an instructor opens, its number, and until when to remember that.

        A link opens it once, which is for the caller to see to. Raises :class:`Unauthorised`.
        """
        claims = jwt.read(token, self.secret.encode(), now)
        number, course = claims.get("jti"), claims.get("course_id")
        if not (client == self.id == claims.get("iss") and isinstance(number, str)):
            raise Unauthorised("the link is another client's")
        if claims["exp"] > now + ISSUED_S or not isinstance(course, str):
            raise Unauthorised("the link is none that is understood")
        visit = Visit(course=course, exam=_id(claims, "exam_id"), attempt=_id(claims, "attempt_id"))
        return visit, number, claims["exp"] + jwt.CLOCKS_S

    def keep(self, visit: Visit, now: float) -> str:
        """A token by which whoever may see that is known for the next hour."""
        claims = {"exp": int(now + VISIT_S), "visit": msgspec.to_builtins(visit)}
        return jwt.sign(claims, self._key("visit"))

    def kept(self, token: str, now: float) -> Visit:
        """What :meth:`keep` was given. Raises :class:`Unauthorised`."""
        return msgspec.convert(jwt.read(token, self._key("visit"), now)["visit"], Visit)

    def _key(self, purpose: str) -> bytes:
        return hmac.digest(self.secret.encode(), f"voxwatch {purpose}".encode(), hashlib.sha256)


def _form(body: bytes) -> dict[str, list[str]]:
    try:
        return parse_qs(body.decode("ascii"), errors="strict", max_num_fields=16)
    except ValueError as error:
        raise Unauthorised("the form cannot be read") from error


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode("utf-8", "surrogatepass"), other.encode())


def _id(claims: dict[str, Any], name: str) -> str | None:
    found = claims.get(name)
    return found if isinstance(found, str) and found else None
