"""`keys`, `backup`, `restore`, `audit`, and `profiles delete` where the store does not open."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from enrolled_people import Disk, enrol
from typer.testing import CliRunner, Result

from engine.errors import VoxwatchError
from streamer.cli import app
from streamer.store.audit import Entry, local_user
from streamer.store.errors import Inconsistent, StoreError, UnknownSpeaker
from streamer.store.keys import PERSON_KEYS_FILE, read_key
from streamer.store.store import Store

Run = Callable[..., Result]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def run(folder: Path) -> Run:
    """A command within this process; a failure is raised, as `main` would print it."""

    def invoke(*arguments: object, input: str | None = None, **env: str) -> Result:
        env = {"VOXWATCH_DATA_DIR": str(folder), "VOXWATCH_CONFIG": "", **env}
        result = CliRunner(env=env).invoke(app, [*map(str, arguments)], input=input)
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return invoke


@pytest.fixture
def people(folder: Path) -> None:
    with Store.in_folder(folder, None, {}) as store:
        for number, name in enumerate(("Anna", "Bert")):
            enrol(store, name, number, now=store.now())


def names(run: Run, **env: str) -> list[str]:
    listed = run("profiles", "list", "--json", **env).stdout.splitlines()
    return [json.loads(line)["name"] for line in listed]


def deletions(run: Run, **env: str) -> list[str]:
    acts = [json.loads(line) for line in run("audit", "--json", **env).stdout.splitlines()]
    return [act["who"] for act in acts if act["act"] == "delete"]


@pytest.mark.usefixtures("people")
def test_keys_are_rotated_and_a_backup_needs_the_key_of_its_time(
    run: Run, folder: Path, tmp_path: Path
) -> None:
    backup, saved = tmp_path / "monday", tmp_path / "saved"
    assert "2 enrolled; without the key" in run("backup", backup).stdout
    assert "whoever has it" in run("keys", "save", saved).stdout
    assert saved.stat().st_mode & 0o777 == 0o600
    assert read_key(saved) == read_key(folder / "key")
    assert "2 enrolled, all encrypted anew" in run("keys", "rotate").stdout
    assert read_key(saved) != read_key(folder / "key")
    run("profiles", "delete", "Bert", "--yes")
    with pytest.raises(StoreError, match="--key-file"):
        run("restore", backup, "--yes")
    assert run("restore", backup, "--key-file", saved, input="n\n").exit_code == 1
    done = run("restore", backup, "--key-file", saved, "--yes")
    assert done.stdout == "1 enrolled\n1 of the backup were deleted since, and stay so\n"
    assert names(run) == ["Anna"]
    for again in (("backup", backup), ("keys", "save", saved)):
        with pytest.raises(VoxwatchError, match="is there already"):
            run(*again)


@pytest.mark.usefixtures("people")
def test_a_backup_comes_to_an_empty_folder(run: Run, tmp_path: Path) -> None:
    run("backup", tmp_path / "monday")
    run("keys", "save", tmp_path / "saved")
    other = {"VOXWATCH_DATA_DIR": str(tmp_path / "other")}
    done = run("restore", tmp_path / "monday", "--key-file", tmp_path / "saved", **other)
    assert done.stdout == "2 enrolled\n"
    assert names(run, **other) == ["Anna", "Bert"]


def test_a_key_of_the_environment_is_rotated_to_another(run: Run) -> None:
    old, new = (base64.b64encode(bytes([byte] * 32)).decode() for byte in (1, 2))
    assert names(run, VOXWATCH_KEY=old) == []
    with pytest.raises(VoxwatchError, match="give the new one as VOXWATCH_NEW_KEY"):
        run("keys", "rotate", VOXWATCH_KEY=old)
    done = run("keys", "rotate", VOXWATCH_KEY=old, VOXWATCH_NEW_KEY=new)
    assert "set VOXWATCH_KEY to the new key" in done.stdout
    assert names(run, VOXWATCH_KEY=new) == []
    with pytest.raises(StoreError, match="this key is not the one"):
        names(run, VOXWATCH_KEY=old)


@pytest.mark.usefixtures("people")
def test_the_audit_log_says_who_did_what_to_whom(run: Run) -> None:
    run("profiles", "export", "Anna")
    run("profiles", "delete", "Bert", "--yes")
    run("keys", "rotate")
    acts = [json.loads(line) for line in run("audit", "--json").stdout.splitlines()]
    assert [act["act"] for act in acts] == ["enrol", "enrol", "export", "delete", "rotate"]
    persons = [act["person"] for act in acts]
    assert persons[0] == persons[2] == "Anna"
    assert persons[1] == persons[3] != "Bert"
    assert persons[1].startswith("(deleted ")
    assert all(act["who"].startswith("local user") and act["at"] > 1.7e9 for act in acts)
    shown = run("audit", "--person", "Anna").stdout.splitlines()
    assert [line.split()[-2:] for line in shown[1:]] == [["enrol", "Anna"], ["export", "Anna"]]


@pytest.mark.parametrize(
    ("env", "left"),
    [
        ({}, ["export", "shorten"]),
        ({"VOXWATCH_AUDIT_DAYS": "900"}, ["export", "export"]),
        ({"VOXWATCH_AUDIT_DAYS": "10"}, ["shorten"]),
    ],
)
def test_the_audit_log_forgets_after_its_days(
    run: Run, folder: Path, env: dict[str, str], left: list[str]
) -> None:
    """By every command that opens the store."""
    with Store.in_folder(folder, None, {}) as store:
        for days in (800, 20):
            store.note(Entry(store.now() - days * 86400.0, "chief", "export"))
    acts = [json.loads(line) for line in run("audit", "--json", **env).stdout.splitlines()]
    assert [act["act"] for act in acts] == left


@pytest.mark.usefixtures("people")
def test_a_backup_replaces_a_damaged_store_once_that_is_out_of_the_way(
    run: Run, folder: Path, tmp_path: Path
) -> None:
    run("backup", tmp_path / "monday")
    (folder / PERSON_KEYS_FILE).unlink()
    with pytest.raises(StoreError, match=r"are not: .* To restore a backup here, first move"):
        run("restore", tmp_path / "monday", "--yes")
    for file in folder.glob("voiceprints.db*"):
        file.rename(tmp_path / file.name)
    assert run("restore", tmp_path / "monday", "--yes").stdout == "2 enrolled\n"
    assert names(run) == ["Anna", "Bert"]


@pytest.mark.usefixtures("people")
def test_what_cannot_be_read_any_more_is_given_up(run: Run, folder: Path) -> None:
    keys = folder / PERSON_KEYS_FILE
    content = bytearray(keys.read_bytes())
    content[200] ^= 1  # within the key of one of the two
    keys.write_bytes(content)
    with pytest.raises(Inconsistent, match="keys of 1 people cannot be read"):
        names(run)
    assert run("keys", "repair", input="n\n").exit_code == 1
    done = run("keys", "repair", "--yes").stdout.splitlines()
    assert done == [
        "given up: 1 damaged keys, 0 keys without rows, 1 rows without keys",
        "1 enrolled",
    ]
    assert len(names(run)) == 1
    assert "given up: 0 damaged" in run("keys", "repair", "--yes").stdout


@pytest.mark.usefixtures("people")
def test_a_person_of_a_spoilt_store_is_deleted(run: Run, folder: Path) -> None:
    path = folder / "voiceprints.db"
    whole = path.read_bytes()
    path.write_bytes(b"spoilt" * 4000)
    with pytest.raises(UnknownSpeaker):
        run("profiles", "delete", "Carl", "--yes")
    assert run("profiles", "delete", "Anna", input="n\n").exit_code == 1
    done = run("profiles", "delete", "Anna", "--yes")
    assert "the store cannot be opened" in done.stderr
    assert "Anna is deleted" in done.stdout
    path.write_bytes(whole)
    assert names(run) == ["Bert"]
    assert deletions(run) == [local_user()]


def test_a_person_is_deleted_on_a_full_disk(run: Run, disk: Disk) -> None:
    env = {"VOXWATCH_DATA_DIR": str(disk.folder / "data")}
    with Store.in_folder(disk.folder / "data", None, {}) as store:
        enrol(store, "Anna", now=store.now())
        enrol(store, "Bert", now=store.now())
    disk.fill()
    assert "Anna is deleted" in run("profiles", "delete", "Anna", "--yes", **env).stdout
    (disk.folder / "filler").unlink()
    assert names(run, **env) == ["Bert"]
    assert deletions(run, **env) == [local_user()]
