"""The key: from the environment, or a file that only its owner reads."""

from __future__ import annotations

import base64
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from streamer.store.keys import KEY_FILE, PERSON_KEYS_FILE, STORE_FILE, KeyFileError, load_key

KEY = bytes(range(200, 232))  # its base64 has both of the characters that alphabets differ in


def test_a_key_is_made_on_first_use_and_kept(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "data"
    key = load_key(folder, env={})
    assert len(key) == 32
    assert load_key(folder, env={}) == key
    assert load_key(tmp_path / "other", env={}) != key
    assert stat.S_IMODE((folder / KEY_FILE).stat().st_mode) == 0o600
    assert [path.name for path in folder.iterdir()] == [KEY_FILE]


@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_the_environment_comes_first(tmp_path: Path, encode: Callable[[bytes], bytes]) -> None:
    load_key(tmp_path, env={})
    assert load_key(tmp_path, env={"VOXWATCH_KEY": encode(KEY).decode() + "\n"}) == KEY


def test_a_key_of_the_environment_needs_no_folder(tmp_path: Path) -> None:
    folder = tmp_path / "absent"
    load_key(folder, env={"VOXWATCH_KEY": base64.b64encode(KEY).decode()})
    assert not folder.exists()


@pytest.mark.parametrize(
    "text", ["secret!", "c2hvcnQ=", base64.b64encode(KEY + b"x").decode(), "ä" * 43 + "=", "="]
)
def test_what_is_no_key_is_told_and_not_shown(tmp_path: Path, text: str) -> None:
    with pytest.raises(KeyFileError, match="VOXWATCH_KEY is not a key") as failure:
        load_key(tmp_path, env={"VOXWATCH_KEY": text})
    assert text == "=" or text not in str(failure.value)
    assert failure.value.__suppress_context__


def test_a_damaged_key_file_is_told(tmp_path: Path) -> None:
    load_key(tmp_path, env={})
    (tmp_path / KEY_FILE).write_bytes(b"\xff\x00 half a k")
    with pytest.raises(KeyFileError, match=r"key is not a key.*restore"):
        load_key(tmp_path, env={})


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o610])
def test_a_key_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    load_key(tmp_path, env={})
    (tmp_path / KEY_FILE).chmod(mode)
    with pytest.raises(KeyFileError, match="chmod 600"):
        load_key(tmp_path, env={})


@pytest.mark.parametrize("name", [STORE_FILE, PERSON_KEYS_FILE])
def test_no_new_key_is_made_for_an_old_store(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"voiceprints")
    with pytest.raises(KeyFileError, match="restore the key file"):
        load_key(tmp_path, env={})
    assert not (tmp_path / KEY_FILE).exists()


def test_a_folder_that_cannot_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(KeyFileError, match="Not a directory"):
        load_key(tmp_path / "file" / "data", env={})


def test_processes_that_make_the_key_at_once_agree(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from streamer.store.keys import load_key\n"
        "sys.stdin.read(); print(load_key(Path(sys.argv[1]), env={}).hex())"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    root = Path(__file__).parents[3]
    made = [subprocess.Popen(command, cwd=root, text=True, **pipes) for _ in range(4)]
    for process in made:
        process.stdin.close()
    keys = set()
    for process in made:
        with process.stdout:
            keys.add(process.stdout.read())
        assert process.wait() == 0
    assert len(keys) == 1
    assert [path.name for path in tmp_path.iterdir()] == [KEY_FILE]
