"""Proxies: whose word counts, how far back, and in which of the forms it comes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.datastructures import Headers

from streamer.server.proxies import Asker, Proxies

TRUSTED = ("127.0.0.1", "10.0.0.0/8", "fd00::/8")


def asker(peer: str, **headers: str) -> Asker:
    told = Headers({name.replace("_", "-"): value for name, value in headers.items()})
    return Proxies(TRUSTED).asker(peer, "http", told)


def test_without_a_proxy_it_is_the_peer() -> None:
    assert asker("192.0.2.1", Host="voice:1") == Asker("192.0.2.1", "voice:1", "http")


def test_what_others_say_does_not_count() -> None:
    told = {"X_Forwarded_For": "198.51.100.7", "Forwarded": "for=198.51.100.8;host=evil"}
    assert asker("192.0.2.1", Host="a", **told) == Asker("192.0.2.1", "a", "http")


@pytest.mark.parametrize(
    "headers",
    [
        {"X_Forwarded_For": "198.51.100.7", "X_Forwarded_Proto": "https", "X_Forwarded_Host": "v"},
        {"Forwarded": "for=198.51.100.7;proto=https;host=v"},
        {"Forwarded": 'For="198.51.100.7:4711"; Proto=HTTPS; Host="v"'},
        # As Azure's gateway writes it: with the client's port.
        {"X_Forwarded_For": "198.51.100.7:51008", "X_Forwarded_Proto": "https",
         "X_Forwarded_Host": "v"},
        {"X_Forwarded_For": "6.6.6.6:1, 198.51.100.7:17085, 10.0.0.6", "X_Forwarded_Proto": "https",
         "X_Forwarded_Host": "v"},
        {"X_Forwarded_For": "198.51.100.7, 10.1.2.3", "X_Forwarded_Proto": "https",
         "X_Forwarded_Host": "v"},
        {"X_Forwarded_For": "6.6.6.6, 198.51.100.7", "X_Forwarded_Proto": "http, https",
         "X_Forwarded_Host": "evil, v"},
        {"Forwarded": "for=6.6.6.6;host=evil, for=198.51.100.7;proto=https;host=v, for=10.9.9.9"},
    ],
)  # fmt: skip
def test_a_trusted_proxy_is_believed_and_nobody_before_it(headers: dict[str, str]) -> None:
    assert asker("127.0.0.1", Host="inner", **headers) == Asker("198.51.100.7", "v", "https")


def test_addresses_of_the_sixth_version() -> None:
    told = {"Forwarded": 'for="[2001:db8::7]:4711";host="[2001:db8::1]:443"'}
    assert asker("fd00::1", Host="a", **told) == Asker("2001:db8::7", "[2001:db8::1]:443", "http")
    assert asker("::ffff:10.0.0.1", X_Forwarded_For="2001:db8::7").address == "2001:db8::7"
    assert asker("127.0.0.1", X_Forwarded_For="[2001:db8::7]:443").address == "2001:db8::7"


def test_a_proxy_that_hides_the_client_is_the_client() -> None:
    assert asker("127.0.0.1", Forwarded="for=unknown;host=v").address == "127.0.0.1"
    assert asker("127.0.0.1", X_Forwarded_For="").address == "127.0.0.1"


@pytest.mark.parametrize(
    "hidden", ["unknown", "_gazonk", '"_SEVKISEK:47011"', "_hidden, for=_more"]
)
def test_what_a_proxy_that_hides_the_client_says_of_name_and_scheme_counts(hidden: str) -> None:
    told = f"for={hidden};proto=https;host=voice.example.org"
    found = Asker("127.0.0.1", "voice.example.org", "https")
    assert asker("127.0.0.1", Host="a", Forwarded=told) == found


def test_what_was_before_a_hidden_client_does_not_count() -> None:
    told = "for=6.6.6.6;host=evil, for=_hidden;host=v"
    assert asker("127.0.0.1", Host="a", Forwarded=told) == Asker("127.0.0.1", "v", "http")


@pytest.mark.parametrize("written", ["::ffff:198.51.100.7", "[::ffff:198.51.100.7]:443"])
def test_a_mapped_address_is_that_of_the_fourth_version(written: str) -> None:
    assert asker("127.0.0.1", X_Forwarded_For=written).address == "198.51.100.7"
    assert asker("127.0.0.1", Forwarded=f'for="{written}"').address == "198.51.100.7"


def test_more_hops_than_lists_of_names() -> None:
    told = {"X_Forwarded_For": "1.1.1.1, 10.0.0.2, 10.0.0.3", "X_Forwarded_Host": "v"}
    assert asker("127.0.0.1", Host="a", **told) == Asker("1.1.1.1", "v", "http")


@pytest.mark.parametrize("own", ["198.51.100.7", "10.2.2.2"])
def test_a_header_that_the_proxy_hands_on_is_no_word_of_its_own(own: str) -> None:
    sent = {"Forwarded": "for=6.6.6.6;host=evil;proto=https", "X_Forwarded_For": own}
    assert asker("127.0.0.1", Host="a", **sent) == Asker("127.0.0.1", "a", "http")
    sent = {"Forwarded": f"for={own}", "X_Forwarded_For": "6.6.6.6", "X_Forwarded_Host": "evil"}
    assert asker("127.0.0.1", Host="a", **sent) == Asker("127.0.0.1", "a", "http")


def test_a_proxy_may_write_both_forms() -> None:
    told = {"Forwarded": 'for="198.51.100.7:80";host=v', "X_Forwarded_For": "198.51.100.7"}
    assert asker("127.0.0.1", Host="a", **told) == Asker("198.51.100.7", "v", "http")


@pytest.mark.parametrize("text", ['"\\', "a", " ", '"', "=", ';"', ',"\\\\', 'for=";'])
def test_the_time_for_a_header_grows_with_its_length_only(text: str) -> None:
    # 100 kB: what grew by the square of the length took minutes.
    assert asker("127.0.0.1", Forwarded=text * (100_000 // len(text))).address == "127.0.0.1"


TOLD = st.text(st.characters(codec="latin-1", exclude_categories=["Cc"]))


@given(TOLD, TOLD, TOLD)
def test_whatever_is_sent_gets_an_answer(forwarded: str, addresses: str, schemes: str) -> None:
    told = {"Forwarded": forwarded, "X_Forwarded_For": addresses, "X_Forwarded_Proto": schemes}
    found = asker("127.0.0.1", **told)
    assert found.scheme in ("http", "https")
