"""Logins and launches: what lets somebody in, and every way in which it does not."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import jwt
import msgspec
import pytest
from lti_platform import CORE, DEPLOYMENT, PROCTORING, TEACHER, FakePlatform, SigningKey

from streamer.lti.errors import PlatformError, Refused
from streamer.lti.http import AGAIN_S, KEPT_S, PublicKeys, Session
from streamer.lti.library import LONGEST_S
from streamer.lti.messages import Launch
from streamer.lti.tool import Tool
from tests.streamer.lti.conftest import Come

ELSEWHERE = "https://elsewhere.example"


def begun(tool: Tool, there: FakePlatform, now: float | None = None) -> tuple[str, str]:
    """A login: its state, which is the cookie, too, and its nonce."""
    login = tool.login(there.login(), time.time() if now is None else now)
    asked = dict(parse_qsl(urlsplit(login.url).query))
    return asked["state"], asked["nonce"]


def back(tool: Tool, state: str, token: str, cookie: str | None = None) -> Launch:
    form = {"state": state, "id_token": token}
    return tool.launch(form, state if cookie is None else cookie, time.time())


def test_a_login_goes_to_the_platform_with_what_has_to_come_back(
    tool: Tool, there: FakePlatform
) -> None:
    login = tool.login(there.login(), time.time())
    place, asked = login.url.split("?")
    told = dict(parse_qsl(asked))
    assert place == f"{there.url}/auth"
    assert told["redirect_uri"] == "https://voice.example/lti/launch"
    assert (told["response_type"], told["response_mode"]) == ("id_token", "form_post")
    assert (told["login_hint"], told["lti_message_hint"]) == ("hint", "message")
    assert told["scope"] == "openid"
    assert (told["state"], told["nonce"]) == (login.state, login.nonce)
    other = tool.login(there.login(), time.time())
    assert {login.state, login.nonce}.isdisjoint({other.state, other.nonce})


@pytest.mark.parametrize(
    "change",
    [
        {"iss": "https://other.example"},
        {"client_id": "another"},
        {"login_hint": ""},
        {"iss": ""},
        {"target_link_uri": f"{ELSEWHERE}/lti/launch"},
        {"target_link_uri": "https://voice.example.evil.example/lti/launch"},
        {"target_link_uri": "https://voice.example/"},
    ],
)
def test_a_login_of_somebody_else_or_to_elsewhere_is_refused(
    tool: Tool, there: FakePlatform, change: dict[str, str]
) -> None:
    with pytest.raises(Refused):
        tool.login(there.login(**change), time.time())


def test_a_login_need_not_say_the_client_where_there_is_one(
    tool: Tool, there: FakePlatform
) -> None:
    assert tool.login(there.login(client_id=""), time.time()).platform == there.registered
    two = (there.registered, msgspec.structs.replace(there.registered, client_id="second"))
    of_two = replace(tool, platforms=two)
    assert of_two.login(there.login(client_id="second"), 0.0).platform.client_id == "second"
    with pytest.raises(Refused):
        of_two.login(there.login(client_id=""), time.time())


def test_a_launch_says_who_comes_and_for_what(come: Come, there: FakePlatform) -> None:
    launch = come(**{CORE + "custom": {"expect_speech": "true"}})
    assert (launch.kind, launch.user, launch.name) == ("LtiStartProctoring", "user-17", "Ada Byron")
    assert (launch.place.link, launch.place.context) == ("link-1", "course-1")
    assert (launch.attempt, launch.session) == (1, "of the session")
    assert launch.start_url == f"{there.url}/start"
    assert launch.control is not None
    assert launch.control.actions == ("flag", "terminate")
    assert launch.speaking
    assert not launch.teacher
    assert "ada@" not in repr(launch)  # what is not needed is not taken over


def test_the_kinds_of_messages(come: Come) -> None:
    end = come("LtiEndAssessment", **{PROCTORING + "errormsg": "The network failed."})
    assert (end.kind, end.error) == ("LtiEndAssessment", "The network failed.")
    # Open edX says null where it has nothing to say.
    assert come("LtiEndAssessment", **{CORE + "context": {"id": None}}).place.context == ""
    look = come("LtiResourceLinkRequest", **{CORE + "roles": [TEACHER]})
    assert look.teacher
    assert look.attempt == 1 or look.attempt is None
    assert come(**{PROCTORING + "attempt_number": "2"}).attempt == "2"  # told back as it came


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("aud", "another-tool"),
        ("aud", ["another-tool"]),
        ("aud", ["another-tool", "voxwatch-there"]),
        ("aud", ["voxwatch-there", "another-tool"]),  # without azp nobody knows whose it is
        ("aud", None),
        ("azp", "another-tool"),
        ("iss", "https://other.example"),
        ("iss", None),
        ("sub", None),
        ("sub", ""),
        ("nonce", "another"),
        ("nonce", None),
        ("nonce", 17),
        ("exp", None),
        pytest.param("exp", int(time.time()) - 3600, id="exp-past"),
        pytest.param("exp", int(time.time() + LONGEST_S) + 3600, id="exp-far"),
        ("iat", None),
        pytest.param("iat", int(time.time()) + 3600, id="iat-to-come"),
        pytest.param("nbf", int(time.time()) + 3600, id="nbf-to-come"),
        (CORE + "deployment_id", "another"),
        (CORE + "deployment_id", None),
        (CORE + "deployment_id", [DEPLOYMENT]),
        (CORE + "version", "1.1"),
        (CORE + "message_type", "LtiDeepLinkingRequest"),
        (CORE + "message_type", None),
        (CORE + "message_type", ["LtiStartProctoring"]),
        (CORE + "resource_link", {}),
        (CORE + "resource_link", "link-1"),
        (CORE + "resource_link", {"id": "x" * 5000}),
        (PROCTORING + "attempt_number", None),
        (PROCTORING + "attempt_number", -1),
        (PROCTORING + "attempt_number", "first"),
        (PROCTORING + "attempt_number", True),
        (PROCTORING + "session_data", None),
        (PROCTORING + "session_data", {}),
        (PROCTORING + "start_assessment_url", None),
        (PROCTORING + "start_assessment_url", f"{ELSEWHERE}/start"),
        (PROCTORING + "start_assessment_url", "javascript:alert(1)"),
        (PROCTORING + "start_assessment_url", "http://lms.example/start"),
        (PROCTORING + "acs", {"actions": ["flag"], "assessment_control_url": f"{ELSEWHERE}/acs"}),
    ],
)
def test_a_launch_with_a_wrong_claim_is_refused(come: Come, name: str, value: Any) -> None:
    with pytest.raises(Refused):
        come(**{name: value})


def test_a_launch_for_several_says_whose_it_is(come: Come) -> None:
    both = ["voxwatch-there", "another-tool"]
    assert come(aud=both, azp="voxwatch-there").user == "user-17"
    with pytest.raises(Refused):
        come(aud=both, azp="another-tool")


def test_a_launch_comes_once(tool: Tool, there: FakePlatform) -> None:
    state, nonce = begun(tool, there)
    token = there.keys[-1].sign(there.claims(nonce))
    assert back(tool, state, token).user == "user-17"
    with pytest.raises(Refused, match="twice"):
        back(tool, state, token)
    # The nonce of a login that was used, at another login.
    other, _ = begun(tool, there)
    with pytest.raises(Refused):
        back(tool, other, token)


def test_a_launch_that_failed_once_does_not_come_again(tool: Tool, there: FakePlatform) -> None:
    state, nonce = begun(tool, there)
    with pytest.raises(Refused):
        back(tool, state, there.keys[-1].sign(there.claims(nonce, aud="another")))
    with pytest.raises(Refused, match="twice"):
        back(tool, state, there.keys[-1].sign(there.claims(nonce)))


@pytest.mark.parametrize("cookie", ["", "state-of-somebody-else"])
def test_a_launch_of_another_browser_is_refused(
    tool: Tool, there: FakePlatform, cookie: str
) -> None:
    state, nonce = begun(tool, there)
    with pytest.raises(Refused):
        back(tool, state, there.keys[-1].sign(there.claims(nonce)), cookie)


@pytest.mark.parametrize("state", ["", "made up"])
def test_a_launch_without_a_login_is_refused(tool: Tool, there: FakePlatform, state: str) -> None:
    _, nonce = begun(tool, there)
    with pytest.raises(Refused):
        back(tool, state, there.keys[-1].sign(there.claims(nonce)))


def test_a_launch_that_comes_late_is_refused(tool: Tool, there: FakePlatform) -> None:
    state, nonce = begun(tool, there, time.time() - 3600)
    with pytest.raises(Refused, match="old"):
        back(tool, state, there.keys[-1].sign(there.claims(nonce)))


def test_an_error_of_the_platform_is_no_launch(tool: Tool, there: FakePlatform) -> None:
    state, _ = begun(tool, there)
    with pytest.raises(Refused, match="log in"):
        tool.launch({"state": state, "error": "login_required"}, state, time.time())


def unsigned(head: dict[str, str], claims: Any) -> str:
    parts = [base64.urlsafe_b64encode(json.dumps(one).encode()) for one in (head, claims)]
    return b".".join([*(part.rstrip(b"=") for part in parts), b""]).decode()


def forged_with_the_name_of(key: SigningKey, claims: dict[str, Any]) -> str:
    forger = SigningKey()
    forger.id = key.id
    return forger.sign(claims)


def with_the_public_key_as_secret(key: SigningKey, claims: dict[str, Any]) -> str:
    return jwt.encode(claims, key.public["n"], "HS256", headers={"kid": key.id})


@pytest.mark.parametrize(
    "forge",
    [
        forged_with_the_name_of,
        with_the_public_key_as_secret,
        lambda key, claims: SigningKey().sign(claims),
        lambda key, claims: unsigned({"alg": "none", "kid": key.id}, claims),
        lambda key, claims: unsigned({"alg": "RS256", "kid": key.id}, claims),
        lambda key, claims: unsigned({"alg": "RS256", "kid": key.id}, []),
        lambda key, claims: jwt.encode(claims, key.private, "RS256"),  # no key is named
        lambda key, claims: key.sign(claims)[:-8] + "AAAAAAAA",
        lambda key, claims: key.sign(claims).rpartition(".")[0],
        lambda key, claims: "a.b.c",
        lambda key, claims: "",
    ],
)
def test_who_signed_it_is_looked_at(
    tool: Tool, there: FakePlatform, forge: Callable[[SigningKey, dict[str, Any]], str]
) -> None:
    state, nonce = begun(tool, there)
    with pytest.raises(Refused):
        back(tool, state, forge(there.keys[-1], there.claims(nonce)))


def test_a_platform_changes_its_keys(tool: Tool, there: FakePlatform) -> None:
    now = 0.0
    tool = replace(tool, public_keys=PublicKeys(Session(), lambda: now))
    old = there.keys[-1]

    def comes(key: SigningKey) -> Launch:
        state, nonce = begun(tool, there)
        return back(tool, state, key.sign(there.claims(nonce)))

    assert comes(old)
    asked = there.asked_for_keys
    assert comes(old)
    assert there.asked_for_keys == asked  # they are kept
    new = SigningKey()
    there.keys.append(new)
    now = AGAIN_S
    assert comes(new)  # a key that is not known is asked for
    assert comes(old)  # both stand in the set
    there.keys.remove(old)
    now += KEPT_S
    assert comes(new)
    with pytest.raises(Refused):
        comes(old)
    asked = there.asked_for_keys
    for _ in range(5):  # made-up keys do not have the platform asked each time
        with pytest.raises(Refused):
            comes(SigningKey())
    assert there.asked_for_keys == asked


def test_a_platform_that_is_away_is_no_traceback(tool: Tool, there: FakePlatform) -> None:
    gone = msgspec.structs.replace(there.registered, jwks_url="http://127.0.0.1:9/jwks")
    away = replace(tool, platforms=(gone,), public_keys=PublicKeys(Session()))
    state, nonce = begun(away, there)
    with pytest.raises(PlatformError):
        back(away, state, there.keys[-1].sign(there.claims(nonce)))
