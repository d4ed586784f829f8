"""Shares: one client takes much and never all, and whoever comes next finds a place."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.server.auth import Grant
from streamer.server.caller import Caller
from streamer.server.limits.shares import Client, Shares, counted_by


def fill(shares: Shares, client: Client) -> int:
    taken = 0
    while shares.take(client):
        taken += 1
    return taken


def test_a_client_alone_takes_three_quarters() -> None:
    assert fill(Shares(200), ("a",)) == 150


def test_the_next_ones_find_places_though_each_takes_all_it_can() -> None:
    shares = Shares(200)
    taken = [fill(shares, (name,)) for name in "abcd"]
    assert taken[0] == 150
    assert all(count >= 1 for count in taken)
    assert taken == sorted(taken, reverse=True)


def test_the_addresses_of_a_token_share_what_is_the_tokens() -> None:
    shares = Shares(200)
    first = fill(shares, ("desk", "10.0.0.1"))
    assert first < 150
    assert fill(shares, ("desk", "10.0.0.2")) >= 20
    assert fill(shares, ("other", "10.0.0.1")) >= 20


def test_places_that_are_given_back_are_free() -> None:
    shares = Shares(4)
    assert fill(shares, ("a",)) == 3
    shares.give_back(("a",))
    assert shares.take(("b",))
    assert shares.take(("c",))
    assert shares.full
    assert not shares.take(("d",))


def test_few_places_are_no_less_for_that() -> None:
    assert fill(Shares(1), ("a",)) == 1
    assert fill(Shares(2), ("a", "x")) == 2


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("xy"), st.booleans())))
def test_never_more_than_there_are_and_nothing_is_left_over(
    steps: list[tuple[str, str, bool]],
) -> None:
    shares, held = Shares(10), []
    for token, address, take in steps:
        client = (token, address)
        if take:
            if shares.take(client):
                held.append(client)
        elif held:
            shares.give_back(held.pop())
        assert len(shares) == len(held) <= 10
    for client in held:
        shares.give_back(client)
    assert not shares._held


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2::7", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff:ffff:ffff:ffff", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::7", "2001:db8:1:3::/64"),
        ("fe80::7%eth0", "fe80::/64"),
        ("64:ff9b::cb00:7107", "203.0.113.7"),  # by NAT64, where all are in one network
        ("64:ff9b:1::cb00:7107", "64:ff9b:1::/64"),
        ("", ""),
    ],
)
def test_a_client_is_counted_once_whatever_address_of_its_own_it_takes(
    address: str, counted: str
) -> None:
    assert counted_by(address) == counted
    assert Caller(Grant(), address).client == (counted,)
