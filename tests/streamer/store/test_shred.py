"""What is read while it is replaced is one whole file, never one that is being overwritten."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from streamer.store import shred
from streamer.store.keys import read_key, write_key
from streamer.store.person_keys import PersonKeys
from streamer.store.shred import read_live, replace_with, write_new


def replace_after_opening(
    monkeypatch: pytest.MonkeyPatch, fresh: Path, path: Path, times: int = 1
) -> None:
    """The next ``times`` that a file is opened to be read, ``path`` is replaced right after."""
    kept, left, really_open = fresh.read_bytes(), [times], open

    def opened(file: Any, mode: str = "r", **how: Any) -> Any:
        found = really_open(file, mode, **how)
        if mode == "rb" and left[0]:
            left[0] -= 1
            write_new(fresh, kept)
            replace_with(fresh, path)
        return found

    monkeypatch.setattr(shred, "open", opened, raising=False)


@pytest.mark.parametrize("times", [1, 3])
def test_a_file_replaced_once_it_is_open_is_read_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    path, fresh = tmp_path / "file", tmp_path / "file.next"
    write_new(path, b"old" * 1000)
    write_new(fresh, b"new" * 1000)
    replace_after_opening(monkeypatch, fresh, path, times)
    assert read_live(path) == b"new" * 1000


def test_a_key_replaced_once_it_is_open_is_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, fresh = tmp_path / "key", tmp_path / "key.next"
    write_key(path, bytes(32))
    write_key(fresh, bytes(range(32)))
    replace_after_opening(monkeypatch, fresh, path)
    assert read_key(path) == bytes(range(32))


def test_person_keys_replaced_once_they_are_open_are_the_new_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, fresh = tmp_path / "people.keys", tmp_path / "people.keys.next"
    PersonKeys.create(path, bytes(32), (), 1)
    new_id = PersonKeys.create(fresh, bytes(32), (), 2)
    replace_after_opening(monkeypatch, fresh, path)
    assert PersonKeys.read(path, bytes(32)).file_id == new_id


def test_who_reads_while_it_is_replaced_again_and_again_reads_whole_files(tmp_path: Path) -> None:
    path, fresh = tmp_path / "file", tmp_path / "file.next"
    write_new(path, bytes(8192))
    over, wrong = threading.Event(), []

    def read() -> None:
        while not over.is_set():
            content = read_live(path)
            if len(set(content)) != 1 or len(content) != 8192:
                wrong.append(content[:16])

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for number in range(100):
        write_new(fresh, bytes([number]) * 8192)
        replace_with(fresh, path)
    over.set()
    for reader in readers:
        reader.join()
    assert not wrong


def test_a_file_that_is_not_there_is_an_error_of_the_system(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_live(tmp_path / "nothing")
