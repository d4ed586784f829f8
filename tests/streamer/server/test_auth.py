"""Roles, tokens that expire and are taken out, and tokens that work once."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.server.auth import (
    ROLES,
    URL_TOKEN_S,
    URL_TOKENS_EACH,
    Auth,
    Grant,
    Role,
    Token,
)

NOW = 1_800_000_000.0
DESK = Grant(frozenset({"stream", "monitor"}), "desk")


def token(secret: str, *roles: Role, **more: Any) -> Token:
    digest = hashlib.sha256(secret.encode()).hexdigest()
    return Token(name=f"of {len(roles)}", roles=roles, sha256=digest, **more)


def test_without_tokens_loopback_is_open() -> None:
    auth = Auth([], open_loopback=True)
    assert auth.grant(None, NOW).roles == auth.grant("anything", NOW).roles == ROLES
    assert not auth.required


def test_without_tokens_nothing_else_is_open() -> None:
    auth = Auth([], open_loopback=False)
    assert not auth.grant(None, NOW).roles
    assert auth.required


def test_a_configured_token_closes_loopback_too() -> None:
    auth = Auth([token("s3cret", "stream")], open_loopback=True)
    assert auth.required
    assert not auth.grant(None, NOW).roles
    assert auth.grant("s3cret", NOW).roles == {"stream"}


def test_a_token_has_its_roles_and_no_others() -> None:
    auth = Auth(
        [token("one", "stream", "monitor"), token("two", "admin"), token("one", "enrol")],
        open_loopback=False,
    )
    assert auth.grant("one", NOW).roles == {"stream", "monitor", "enrol"}
    assert auth.grant("two", NOW).roles == {"admin"}


@given(st.text())
def test_no_other_text_is_a_token(text: str) -> None:
    auth = Auth([token("the only one", "admin")], open_loopback=False)
    assert bool(auth.grant(text, NOW).roles) == (text == "the only one")
    assert not auth.redeem(text, 0.0).roles


def test_text_that_is_no_unicode_is_no_token() -> None:
    assert not Auth([token("x", "admin")], open_loopback=False).grant("\ud800", NOW).roles


def test_capitals_of_the_digest_do_not_matter() -> None:
    small = token("one", "stream")
    large = Token(name="large", roles=("stream",), sha256=small.sha256.upper())
    assert Auth([large], open_loopback=False).grant("one", NOW).roles == {"stream"}


def test_a_url_token_works_once() -> None:
    auth = Auth([], open_loopback=False)
    minted = auth.mint(DESK, "monitor", 100.0)
    assert auth.redeem(minted, 101.0).roles == {"monitor"}
    assert not auth.redeem(minted, 101.0).roles


@pytest.mark.parametrize(("after_s", "works"), [(URL_TOKEN_S - 1, True), (URL_TOKEN_S, False)])
def test_a_url_token_works_for_a_minute(after_s: float, works: bool) -> None:
    auth = Auth([], open_loopback=False)
    assert bool(auth.redeem(auth.mint(DESK, "stream", 5.0), 5.0 + after_s).roles) is works


def test_a_url_token_is_no_bearer_token() -> None:
    auth = Auth([], open_loopback=False)
    assert not auth.grant(auth.mint(DESK, "admin", 0.0), NOW).roles


def test_the_table_of_url_tokens_is_bounded() -> None:
    auth = Auth([], open_loopback=False)
    minted = [auth.mint(DESK, "stream", 0.0) for _ in range(URL_TOKENS_EACH + 1)]
    assert len(set(minted)) == len(minted)
    assert not auth.redeem(minted[0], 1.0).roles
    assert auth.redeem(minted[1], 1.0).roles == auth.redeem(minted[-1], 1.0).roles == {"stream"}


def test_expired_url_tokens_make_room() -> None:
    auth = Auth([], open_loopback=False)
    for _ in range(URL_TOKENS_EACH):
        auth.mint(DESK, "stream", 0.0)
    young = auth.mint(DESK, "enrol", URL_TOKEN_S)
    assert len(auth._url_tokens) == 1
    assert auth.redeem(young, URL_TOKEN_S + 1).roles == {"enrol"}


def test_no_secret_shows() -> None:
    known = token("one", "stream")
    auth = Auth([known], open_loopback=False)
    minted = auth.mint(DESK, "stream", 0.0)
    shown = repr(known) + str(known) + repr(auth) + str(vars(auth))
    assert known.sha256 not in shown
    assert minted not in shown


def test_what_one_mints_costs_no_other_its_url_token() -> None:
    auth = Auth([], open_loopback=False)
    mine = auth.mint(DESK, "stream", 0.0)
    for _ in range(10 * URL_TOKENS_EACH):
        auth.mint(Grant(frozenset({"stream"}), "other"), "stream", 0.0)
    assert auth.redeem(mine, 1.0).roles == {"stream"}
    assert len(auth._url_tokens) == URL_TOKENS_EACH


def test_a_url_token_is_of_its_holder_and_of_one_role() -> None:
    auth = Auth([], open_loopback=False)
    of = Grant(frozenset({"stream", "monitor"}), "desk", false_accept=0.001, scores=False)
    grant = auth.redeem(auth.mint(of, "stream", 0.0), 1.0)
    assert (grant.roles, grant.holder) == ({"stream"}, "desk")
    assert (grant.false_accept, grant.scores) == (0.001, False)


def test_a_token_expires() -> None:
    known = token("one", "stream", expires=datetime.fromtimestamp(NOW, UTC))
    auth = Auth([known], open_loopback=False)
    grant = auth.grant("one", NOW - 1)
    assert grant.roles == {"stream"}
    assert auth.still_holds(grant, NOW - 1)
    assert not auth.still_holds(grant, NOW)
    assert not auth.grant("one", NOW).roles


def ending(secret: str, days: float | None, *roles: Role) -> Token:
    """A token that expires so many days from now."""
    end = None if days is None else datetime.fromtimestamp(NOW + days * 86400.0, UTC)
    return token(secret, *roles, expires=end)


def test_tokens_that_expire_within_a_week_or_have_are_due() -> None:
    ends = {"a": 8.0, "b": 6.5, "c": None, "d": -1.0, "e": 0.1, "f": 0.02}
    auth = Auth([ending(name, days, "stream") for name, days in ends.items()], open_loopback=False)
    assert [one.end(NOW) for one in auth.due(NOW)] == [
        "token of 1 expired on 2027-01-14 08:00 UTC",
        "token of 1 expires in an hour, on 2027-01-15 08:28 UTC",
        "token of 1 expires in 2 hours, on 2027-01-15 10:24 UTC",
        "token of 1 expires in 6 days, on 2027-01-21 20:00 UTC",
    ]
    assert len(auth.due(NOW + 1.1 * 86400.0)) == 5


def test_an_admin_is_told_of_all_that_expire_and_others_of_their_own() -> None:
    tokens = [ending("boss", None, "admin"), ending("desk", 3.0, "monitor")]
    auth = Auth([*tokens, ending("bus", 2.0, "stream")], open_loopback=False)

    def told(*secrets: str) -> list[tuple[str, bool]]:
        grants = [auth.grant(secret, NOW) for secret in secrets]
        return [("/".join(one["roles"]), one["own"]) for one in auth.expiring(grants, NOW)]

    assert told("desk") == [("monitor", True)]
    assert told("boss") == [("stream", False), ("monitor", False)]
    assert told("boss", "desk") == [("stream", False), ("monitor", True)]
    assert told() == []


def test_a_token_that_is_taken_out_holds_no_more_and_nor_does_what_it_minted() -> None:
    auth = Auth([token("one", "stream"), token("two", "stream")], open_loopback=True)
    one, two = auth.grant("one", NOW), auth.grant("two", NOW)
    minted = auth.redeem(auth.mint(one, "stream", 0.0), 1.0)
    auth.replace([token("two", "stream")])
    assert not auth.still_holds(one, NOW)
    assert not auth.still_holds(minted, NOW)
    assert auth.still_holds(two, NOW)
    auth.replace([])
    assert auth.required  # and is not open to everybody
    assert not auth.grant(None, NOW).roles
