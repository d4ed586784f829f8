"""Binary messages that are JSON are told from sound, whatever they hold."""

from __future__ import annotations

import pytest

from streamer.wire.unknown import text_as_sound


@pytest.mark.parametrize("kind", [b"[1]", b"{}", b"null", b"7", b'"open"'])
def test_json_of_any_type_is_no_sound(kind: bytes) -> None:
    refused = text_as_sound(b'{"type": ' + kind + b"}")
    assert refused is not None
    assert refused.code == "wrong-frame"


@pytest.mark.parametrize(
    "sound",
    [b"", b"{", b"{}", b"{ }", b"{\x7d\x7e\x7f", b'{"\xff": 1}', b'{"a": 1}\x00', b"{" * 100_000],
)
def test_sound_that_begins_as_json_does_is_sound(sound: bytes) -> None:
    assert text_as_sound(sound) is None
