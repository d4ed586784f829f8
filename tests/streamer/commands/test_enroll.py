"""`enroll` and `profiles`: from recordings, with consent, into the store and out of it."""

from __future__ import annotations

import json
import re
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from program import Run, lines

from engine.errors import VoxwatchError
from streamer.commands import enroll as enroll_command
from streamer.commands import enrolment_there
from streamer.commands.enrolment_sound import feed
from streamer.sources.microphone import InputOverflow, Reopened

TERMINAL = SimpleNamespace(isatty=lambda: True)


def test_a_person_enrols_is_listed_exported_and_forgotten(
    run: Run, recorded: Any, tmp_path: Path
) -> None:
    done = run("enroll", "Anna", recorded("anna"), "--consent", "--ttl-days", 30)
    assert done.exit_code == 0
    assert done.stdout == "Anna is enrolled: 1 prototype from 20.0 s of speech\n"
    assert "%" not in done.stderr  # nobody watches where it is no terminal

    assert run("profiles", "list").stdout.splitlines()[1].startswith("Anna  20.0 s  1 ")
    (profile,) = lines(run("profiles", "list", "--json").stdout)
    assert profile["expires_at"] == pytest.approx(profile["created_at"] + 30 * 86_400)
    shown = run("profiles", "show", "Anna").stdout
    assert "20.0 s" in shown
    assert "text 2026-11" in shown
    assert lines(run("profiles", "show", "Anna", "--json").stdout) == [profile]

    exported = json.loads(run("profiles", "export", "Anna").stdout)
    assert exported["prototypes"]
    file = tmp_path / "anna.json"
    file.touch(mode=0o644)
    run("profiles", "export", "Anna", "--output", file)
    again = json.loads(file.read_text())
    acts = again.pop("acts")  # the export before is among them by now
    assert [act["act"] for act in acts].count("export") == 2
    assert again == {name: exported[name] for name in again}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600

    assert run("profiles", "delete", "Anna", input="n\n").exit_code == 1
    assert run("profiles", "delete", "Anna", "--yes").exit_code == 0
    assert "nobody is enrolled" in run("profiles", "list").stderr
    for command in ("show", "export", "delete"):
        with pytest.raises(VoxwatchError, match="'Anna' is not enrolled"):
            run("profiles", command, "Anna")


def test_each_recording_is_a_prototype_and_more_can_be_added(run: Run, recorded: Any) -> None:
    both = recorded("anna", seed=2), recorded("anna", seed=3)
    assert "2 prototypes" in run("enroll", "anna", *both, "--consent").stdout
    with pytest.raises(VoxwatchError, match="--add gives another"):
        run("enroll", "anna", both[0], "--consent")
    added = run("enroll", "anna", recorded("anna", seed=4), "--consent", "--add", "--json")
    *_, enrolled, stored = lines(added.stdout)
    assert enrolled["type"] == "enrolled"
    assert stored == {
        "type": "stored",
        "name": "anna",
        "prototypes": 3,
        "net_speech_s": 60.0,
        "like_voices": [],
    }
    (profile,) = lines(run("profiles", "list", "--json").stdout)
    assert profile["prototypes"] == 3


def test_recordings_of_two_people_are_not_one_voiceprint(run: Run, recorded: Any) -> None:
    anna, bert = recorded("anna"), recorded("bert", seed=3)
    done = run("enroll", "anna", anna, bert, "--consent")
    assert done.exit_code == 1
    assert f"refused: {bert}: this is another voice" in done.stderr
    assert run("profiles", "list").stdout == ""
    with pytest.raises(VoxwatchError, match="not enrolled: check the name, or leave out --add"):
        run("enroll", "anna", anna, "--consent", "--add")
    assert run("profiles", "list").stdout == ""
    run("enroll", "anna", anna, "--consent")
    assert run("enroll", "anna", bert, "--consent", "--add").exit_code == 1
    (profile,) = lines(run("profiles", "list", "--json").stdout)
    assert profile["prototypes"] == 1


def test_how_much_of_a_long_recording_was_used_is_said(run: Run, recorded: Any) -> None:
    file = recorded("anna", 41.0)
    done = run("enroll", "anna", file, "--consent")
    assert re.search(rf"^{file}: 2\d s of 42 s were used", done.stderr, re.MULTILINE)


def test_one_poor_recording_and_nothing_is_stored(run: Run, recorded: Any) -> None:
    done = run("enroll", "anna", recorded("anna"), recorded("anna", 3.0), "--consent")
    assert done.exit_code == 1
    assert "(too-short)" in done.stderr
    assert run("profiles", "list").stdout == ""


def test_nobody_is_kept_longer_than_the_settings_allow(
    environment: dict[str, str], run: Run, recorded: Any
) -> None:
    environment["VOXWATCH_TTL_DAYS"] = "30"
    run("enroll", "anna", recorded("anna"), "--consent", "--ttl-days", 365)
    (profile,) = lines(run("profiles", "list", "--json").stdout)
    assert profile["expires_at"] == pytest.approx(profile["created_at"] + 30 * 86_400)


def test_nobody_is_enrolled_without_their_consent(
    run: Run, recorded: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = recorded("anna")
    with pytest.raises(VoxwatchError, match="--consent says it was given"):
        run("enroll", "anna", file)
    monkeypatch.setattr(enrolment_there, "sys", SimpleNamespace(stdin=TERMINAL, stderr=TERMINAL))
    declined = run("enroll", "anna", file, input="n\n")
    assert declined.exit_code == 1
    assert "voiceprint" in declined.stderr
    assert "The voiceprint is kept: until it is deleted" in declined.stderr
    assert "The record of what is decided is kept: 30 days" in declined.stderr
    for_a_week = run("enroll", "anna", file, "--ttl-days", "7", input="n\n")
    assert "The voiceprint is kept: 7 days" in for_a_week.stderr
    assert run("profiles", "list").stdout == ""
    assert run("enroll", "anna", file, input="y\n").exit_code == 0


@pytest.mark.parametrize("arguments", [[], ["a.wav", "--microphone"]])
def test_enrolling_takes_recordings_or_the_microphone(run: Run, arguments: list[str]) -> None:
    done = run("enroll", "anna", *arguments)
    assert done.exit_code == 2
    assert "one of them" in done.stderr


def test_who_watches_sees_the_progress(
    run: Run, recorded: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(enroll_command, "sys", SimpleNamespace(stdin=TERMINAL, stderr=TERMINAL))
    done = run("enroll", "Anna", recorded("anna"), "--consent")
    assert len(re.findall(r"^ *\d+ % of 20 s$", done.stderr, re.MULTILINE)) == 9


async def test_sound_that_was_lost_is_told_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    async def source() -> AsyncIterator[bytes | InputOverflow | Reopened]:
        for piece in (InputOverflow(0, 1.25), InputOverflow(2, 0.0), b"ab", Reopened(4.0)):
            yield piece

    sent: list[bytes] = []

    async def send(pcm: bytes) -> None:
        sent.append(pcm)

    async def finish() -> None:
        sent.append(b"")

    await feed(source(), send, finish, SimpleNamespace())
    assert sent == [b"ab", b""]
    assert capsys.readouterr().err.splitlines() == [
        "1.2 s of sound were lost: this machine was too busy to read it",
        "the microphone lost some sound",
        "the microphone was gone for 4.0 s, of which nothing was heard",
    ]
