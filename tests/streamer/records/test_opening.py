"""The record opens with the store's key, also when that was rotated, and with no other."""

from __future__ import annotations

from pathlib import Path

import pytest
from recorded import KEY, whole

from streamer.records.errors import RecordError
from streamer.records.opening import is_recorded, open_book
from streamer.store.audit import Entry
from streamer.store.rotation import rotate
from streamer.store.store import Store

NEW = bytes(32)


def test_another_key_opens_nothing(database_url: str | None, tmp_path: Path) -> None:
    open_book(database_url, tmp_path, KEY).close()
    assert is_recorded(database_url, tmp_path)
    with pytest.raises(RecordError, match="another key"):
        open_book(database_url, tmp_path, NEW)


def test_after_a_rotation_what_was_signed_before_verifies(
    database_url: str | None, tmp_path: Path
) -> None:
    book = open_book(database_url, tmp_path, KEY)
    book.journal.write({"one": whole("one")})
    with Store.open(tmp_path / "voiceprints.db", KEY) as store:
        rotate(store.vault, Entry(1.0, "somebody", "rotate"), NEW, [book.rewrap])
    book.journal.write({"two": whole("two")})  # a server that runs goes on
    book.close()
    again = open_book(database_url, tmp_path, NEW)
    assert again.verify().findings == ()
    assert again.verify().streams == 2
    again.close()
    with pytest.raises(RecordError, match="another key"):
        open_book(database_url, tmp_path, KEY)


def test_a_rotation_that_did_not_happen_leaves_the_old_key(
    database_url: str | None, tmp_path: Path
) -> None:
    book = open_book(database_url, tmp_path, KEY)
    book.rewrap(NEW)
    book.close()
    again = open_book(database_url, tmp_path, KEY)
    again.journal.write({"one": whole("one")})
    assert again.verify().findings == ()
    again.close()


def test_what_cannot_be_opened_is_said_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="no URL like"):
        open_book("mysql://somewhere", tmp_path, KEY)
    (tmp_path / "records.db").write_bytes(b"this is no database at all, but a text" * 50)
    with pytest.raises(RecordError, match="is not a record"):
        open_book(None, tmp_path, KEY)
