"""Candidate links: what is signed holds, and nothing else."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.exams.errors import BadLink
from streamer.exams.links import PREFIX, is_link, make_link, read_link

KEY, LINE = bytes(range(32)), bytes(range(16))


def test_a_link_says_who_and_until_when() -> None:
    token = make_link(KEY, LINE, 3, 1_700_000_000.9)
    assert is_link(token)
    assert read_link(KEY, token) == (LINE, 3, 1_700_000_000.0)
    assert make_link(KEY, LINE, 3, 1_700_000_000.9) == token, "the same line has the same link"


@given(st.integers(0, 39), st.integers(1, 255))
def test_a_link_that_was_changed_anywhere_is_refused(place: int, change: int) -> None:
    token = make_link(KEY, LINE, 0, 1_700_000_000.0)
    data = bytearray(base64.urlsafe_b64decode(token.removeprefix(PREFIX) + "=="))
    data[place] ^= change
    changed = PREFIX + base64.urlsafe_b64encode(data).decode().rstrip("=")
    with pytest.raises(BadLink):
        read_link(KEY, changed)


@pytest.mark.parametrize("cut", [0, 1, 10, 30, 52])
def test_a_link_that_was_cut_is_refused(cut: int) -> None:
    token = make_link(KEY, LINE, 0, 1_700_000_000.0)
    with pytest.raises(BadLink):
        read_link(KEY, token[: len(PREFIX) + cut])


@given(st.text(max_size=80))
def test_any_text_is_refused(text: str) -> None:
    with pytest.raises(BadLink):
        read_link(KEY, PREFIX + text)


def test_another_server_does_not_know_it() -> None:
    with pytest.raises(BadLink):
        read_link(bytes(32), make_link(KEY, LINE, 0, 1_700_000_000.0))
