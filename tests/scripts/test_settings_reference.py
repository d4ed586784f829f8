"""The reference of settings says what the code does."""

from __future__ import annotations

import re

import msgspec
import pytest

from scripts.settings_reference import PAGE, _kind, _meanings, page
from streamer.config import Config
from streamer.config_sources import PARTS, TYPES

CURRENT = "write it anew: python scripts/settings_reference.py"


def test_the_page_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), CURRENT


def test_every_setting_has_a_row() -> None:
    assert sorted(re.findall(r"^\| `([\w.]+)` \|", page(), re.M)) == sorted(TYPES)


@pytest.mark.parametrize("record", [Config, *PARTS.values()])
def test_every_field_has_a_comment_that_says_its_meaning(record: type[msgspec.Struct]) -> None:
    fields = {field.name for field in msgspec.structs.fields(record)} - PARTS.keys()
    assert _meanings(record).keys() == fields


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("port", "whole number, at least 0 and at most 65535"),
        ("false_accept", "number, more than 0 and less than 0.5"),
        ("bundle", "path"),
        ("origins", "list of texts"),
        ("limits.streams", "whole number, at least 1"),
        ("mqtt.qos", "one of `0`, `1`, `2`"),
        ("mqtt.topic", "text"),
        ("mqtt.tls", "`true` or `false`"),
    ],
)
def test_types_are_told_with_their_bounds(key: str, words: str) -> None:
    assert _kind(msgspec.inspect.type_info(TYPES[key])) == words
