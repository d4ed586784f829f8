"""PyLTI1p3 as it is used here: what it leaves open is decided, and what it keeps lies elsewhere.

Each login has a state and a nonce of its own, which :mod:`streamer.lti.book` keeps and gives out
once. So the library's own storage remembers nothing, and a launch that comes twice is refused.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from typing import Any

import jwt
from jwcrypto.common import JWException
from pylti1p3.cookie import CookieService
from pylti1p3.deployment import Deployment
from pylti1p3.exception import LtiException, OIDCException
from pylti1p3.message_launch import MessageLaunch
from pylti1p3.oidc_login import OIDCLogin
from pylti1p3.redirect import Redirect
from pylti1p3.registration import Registration
from pylti1p3.request import Request
from pylti1p3.session import SessionService
from pylti1p3.tool_config.abstract import ToolConfAbstract

from streamer.lti.errors import Refused
from streamer.lti.http import PublicKeys
from streamer.lti.messages import Login
from streamer.lti.platform import Platform

# By which platforms may sign: with a private key, of which we have the public half.
ALGORITHMS = ("RS256", "RS384", "RS512", "ES256", "ES384", "ES512")
CLOCKS_S = 30.0  # by which two machines' clocks may differ
LONGEST_S = 86_400.0  # that a launch may say it holds for, which is far more than any does
CLAIMS = ["exp", "iat", "iss", "aud", "sub", "nonce"]


def log_in(platforms: Sequence[Platform], asked: Mapping[str, str], launch_url: str) -> Login:
    """Answer a platform that wants somebody logged in here. Raises :class:`Refused`.

    Whoever it is comes back to ``launch_url``, and nowhere else.
    """
    if asked.get("target_link_uri", launch_url).partition("?")[0] != launch_url:
        raise Refused("target_link_uri leads elsewhere than to this tool")
    request = _Request(asked)
    session, cookies = _Session(request), _Cookies({})
    known = _Platforms(platforms)
    try:
        login = _Login(request, known, session, cookies)
        url = login.get_redirect_object(launch_url).get_redirect_url()
    except OIDCException as error:
        raise Refused(f"this login is not understood: {error}") from error
    return Login(url, cookies.given, session.nonce, known.found())


def verified(
    platform: Platform, keys: PublicKeys, form: Mapping[str, str], nonce: str, cookie: str
) -> dict[str, Any]:
    """The claims of a launch, if ``platform`` signed it for the login with that ``nonce``.

    ``cookie`` is what the browser has of the login. Raises :class:`Refused`, and
    :class:`PlatformError` where the platform's keys cannot be had.
    """
    request = _Request(form)
    session = _Session(request)
    session.nonce = nonce
    launch = _Launch(request, _Platforms([platform]), session, _Cookies({"": cookie}))
    launch.keys = keys
    try:
        launch.validate()
    except (LtiException, OIDCException, JWException) as error:
        raise Refused(f"this launch does not hold: {error}") from error
    return dict(launch.get_launch_data())


class _Request(Request):
    def __init__(self, fields: Mapping[str, str]) -> None:
        self._fields = fields

    def is_secure(self) -> bool:
        return True

    def get_param(self, key: str) -> str:
        return self._fields.get(key, "")


class _Cookies(CookieService):
    """Remembers the state that a login is given; a launch may have come with one."""

    def __init__(self, came: Mapping[str, str]) -> None:
        self._came, self.given = came, ""

    def get_cookie(self, name: str) -> str | None:
        return self._came.get("")

    def set_cookie(self, name: str, value: str | int, exp: int | None = 3600) -> None:
        self.given = str(value)


class _Session(SessionService):
    """Keeps no launch: the nonce that it knows is that of the one login."""

    nonce = ""

    def save_nonce(self, nonce: str) -> None:
        self.nonce = nonce

    def check_nonce(self, nonce: object) -> bool:
        return isinstance(nonce, str) and hmac.compare_digest(nonce.encode(), self.nonce.encode())

    def check_state_is_valid(self, state: str, id_token_hash: str) -> bool:
        return False  # a launch that comes again has no login any more

    def set_state_valid(self, state: str, id_token_hash: str) -> None:
        pass

    def save_launch_data(self, key: str, jwt_body: Mapping[str, Any]) -> None:
        pass


class _Platforms(ToolConfAbstract[_Request]):
    """Finds platforms as they are registered; any number of clients may have the same issuer."""

    def __init__(self, platforms: Sequence[Platform]) -> None:
        self._platforms = platforms
        self._found: Platform | None = None

    def found(self) -> Platform:
        """The last that was looked for, and is there."""
        assert self._found is not None
        return self._found

    def check_iss_has_one_client(self, iss: str) -> bool:
        return False

    def check_iss_has_many_clients(self, iss: str) -> bool:
        return True

    def find_registration_by_issuer(self, iss: str, *arguments: Any, **named: Any) -> Registration:
        return self.find_registration_by_params(iss, "")

    def find_registration_by_params(
        self, iss: str, client_id: str, *arguments: Any, **named: Any
    ) -> Registration:
        self._found = self._platform(iss, client_id)
        if self._found is None:
            raise OIDCException("this platform, or this tool there, is not registered (lti)")
        return registration(self._found)

    def find_deployment(self, iss: str, deployment_id: str) -> Deployment | None:
        return self.find_deployment_by_params(iss, deployment_id, "")

    def find_deployment_by_params(
        self, iss: str, deployment_id: str, client_id: str, *arguments: Any, **named: Any
    ) -> Deployment | None:
        found = self._platform(iss, client_id)
        if found is None or deployment_id not in found.deployment_ids:
            return None
        return Deployment().set_deployment_id(deployment_id)

    def _platform(self, issuer: str, client: str) -> Platform | None:
        """A login need not name the client, where the issuer has one alone."""
        of = [one for one in self._platforms if one.issuer == issuer]
        if not client and len(of) == 1:
            return of[0]
        return next((one for one in of if one.client_id == client), None)


def registration(platform: Platform) -> Registration:
    """A platform as the library wants it."""
    found = Registration()
    found.set_issuer(platform.issuer).set_client_id(platform.client_id)
    found.set_auth_login_url(platform.login_url).set_auth_token_url(platform.token_url)
    found.set_key_set_url(platform.jwks_url)
    if platform.audience is not None:
        found.set_auth_audience(platform.audience)
    return found


class _Redirect(Redirect[str]):
    def __init__(self, url: str) -> None:
        self._url = url

    def do_redirect(self) -> str:
        return self._url

    def do_js_redirect(self) -> str:
        return self._url

    def set_redirect_url(self, location: str) -> None:
        self._url = location

    def get_redirect_url(self) -> str:
        return self._url


class _Login(OIDCLogin[_Request, _Platforms, _Session, _Cookies, str]):
    def get_redirect(self, url: str) -> Redirect[str]:
        return _Redirect(url)


class _Launch(MessageLaunch[_Request, _Platforms, _Session, _Cookies]):
    keys: PublicKeys

    def _get_request_param(self, key: str) -> str:
        return str(self._request.get_param(key))

    def validate_jwt_format(self) -> MessageLaunch[Any, Any, Any, Any]:
        """Also that both parts are objects, and the algorithm one with a private key."""
        super().validate_jwt_format()
        head, body = self._jwt.get("header"), self._jwt.get("body")
        if not isinstance(head, dict) or not isinstance(body, dict):
            raise LtiException("the id_token is none that is understood")
        if head.get("alg") not in ALGORITHMS:
            raise LtiException("the id_token is signed by no algorithm that is trusted")
        return self

    def fetch_public_key(self, key_set_url: str) -> Any:
        """From what is kept of the platform's keys."""
        return {"keys": self.keys.of(key_set_url, self._jwt["header"].get("kid"))}

    def validate_jwt_signature(self) -> MessageLaunch[Any, Any, Any, Any]:
        """Also audience and times: the library leaves out the one, and lacking times."""
        assert self._registration is not None
        key, algorithm = self.get_public_key()
        client = self._registration.get_client_id()
        try:
            claims = jwt.decode(
                self._get_id_token(),
                key,
                algorithms=[algorithm],
                audience=client,
                issuer=self._registration.get_issuer(),
                leeway=CLOCKS_S,
                options={"require": CLAIMS},
            )
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            raise LtiException(f"the id_token is not valid ({type(error).__name__})") from error
        several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
        if claims.get("azp", None if several else client) != client:
            raise LtiException("the id_token is for another tool (azp)")
        if claims["exp"] - claims["iat"] > LONGEST_S:
            raise LtiException("the id_token would hold for too long")
        return self

    def validate_message(self) -> MessageLaunch[Any, Any, Any, Any]:
        """The library knows no proctoring: :func:`streamer.lti.messages.launch_of` looks at it."""
        return self

    def save_launch_data(self) -> MessageLaunch[Any, Any, Any, Any]:
        """Nothing is kept of it here."""
        return self
