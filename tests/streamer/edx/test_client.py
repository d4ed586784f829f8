"""Open edX's client: what its id and secret give, and that no token passes for another."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest

from streamer.edx import jwt
from streamer.edx.client import ACCESS_S, VISIT_S, EdxClient, Visit
from streamer.edx.errors import Unauthorised

NOW = 1_700_000_000.0
CLIENT = EdxClient("edx", "a long secret")
FORM = {"grant_type": "client_credentials", "client_id": "edx", "client_secret": "a long secret"}


def link(secret: str = CLIENT.secret, **claims: Any) -> str:
    known = {"course_id": "C1", "iss": "edx", "jti": "1", "exp": NOW + 60, "user": {"id": "x"}}
    return jwt.sign(known | claims, secret.encode())


def test_id_and_secret_give_a_token_that_holds_for_an_hour() -> None:
    token = CLIENT.access(urlencode(FORM | {"token_type": "jwt"}).encode(), NOW)
    for scheme in ("JWT", "jwt", "Bearer"):
        CLIENT.check(f"{scheme} {token.access_token}", NOW + ACCESS_S)
    with pytest.raises(Unauthorised, match="expired"):
        CLIENT.check(f"JWT {token.access_token}", NOW + ACCESS_S + 60)
    with pytest.raises(Unauthorised, match="another secret"):
        EdxClient("edx", "another").check(f"JWT {token.access_token}", NOW)
    with pytest.raises(Unauthorised, match="another client"):
        EdxClient("edx2", "a long secret").check(f"JWT {token.access_token}", NOW)


@pytest.mark.parametrize(
    "change",
    [
        {"client_secret": "a long secre"},
        {"client_secret": ""},
        {"client_id": "other"},
        {"grant_type": "password"},
    ],
)
def test_a_form_that_is_wrong_gives_none(change: dict[str, str]) -> None:
    with pytest.raises(Unauthorised):
        CLIENT.access(urlencode(FORM | change).encode(), NOW)
    for body in (b"", b"\xff", b"a=" + b"&a=" * 99):
        with pytest.raises(Unauthorised):
            CLIENT.access(body, NOW)


def test_a_link_of_open_edx_says_what_it_opens() -> None:
    assert CLIENT.visit("edx", link(), NOW)[0] == Visit(course="C1")
    found, number, until = CLIENT.visit("edx", link(exam_id="e", attempt_id="a"), NOW)
    assert found == Visit(course="C1", exam="e", attempt="a")
    assert (number, until > NOW + 60) == ("1", True)


@pytest.mark.parametrize(
    ("client", "token"),
    [
        ("other", link()),
        ("edx", link(iss="other")),
        ("edx", link(secret="wrong")),
        ("edx", link(exp=NOW - 60)),
        ("edx", link(exp=NOW + 3600)),
        ("edx", link(jti=1)),
        ("edx", link(course_id=None)),
    ],
)
def test_a_link_that_is_not_open_edxs_opens_nothing(client: str, token: str) -> None:
    with pytest.raises(Unauthorised):
        CLIENT.visit(client, token, NOW)


def test_a_visit_lasts_an_hour() -> None:
    kept = CLIENT.keep(Visit(course="C1", exam="e"), NOW)
    assert CLIENT.kept(kept, NOW + VISIT_S) == Visit(course="C1", exam="e")
    with pytest.raises(Unauthorised):
        CLIENT.kept(kept, NOW + VISIT_S + 60)


def test_no_token_passes_for_another() -> None:
    access = CLIENT.access(urlencode(FORM).encode(), NOW).access_token
    visit = CLIENT.keep(Visit(course="C1"), NOW)
    for token in (link(), visit):
        with pytest.raises(Unauthorised):
            CLIENT.check(f"JWT {token}", NOW)
    for token in (link(), access):
        with pytest.raises(Unauthorised):
            CLIENT.kept(token, NOW)
    for token in (access, visit):
        with pytest.raises(Unauthorised):
            CLIENT.visit("edx", token, NOW)


def test_the_secret_is_not_shown() -> None:
    assert CLIENT.secret not in repr(CLIENT)
