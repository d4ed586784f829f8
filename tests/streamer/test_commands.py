"""The serving commands: what they print, what they return, what they leave behind."""

# Long: the commands are small, and their tests share the store and the server they talk to.

from __future__ import annotations

import asyncio
import contextlib
import ctypes.util
import hashlib
import json
import os
import re
import select
import signal
import stat
import subprocess
import sys
import threading
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile as sf
from typer.testing import CliRunner, Result

from engine.errors import VoxwatchError
from engine.model.bundle import Bundle
from streamer.cli import app
from streamer.commands import enroll as enroll_command
from streamer.commands import enrolment_there
from streamer.server.auth import Auth, Token
from voxwatch_client import ClientError, ConnectionFailed, ServerError

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "streamer.cli"]
Run = Callable[..., Result]
TERMINAL = SimpleNamespace(isatty=lambda: True)


@pytest.fixture
def settings(tmp_path: Path, spectral_bundle: Bundle) -> dict[str, str]:
    return {
        "VOXWATCH_DATA_DIR": str(tmp_path / "data"),
        "VOXWATCH_BUNDLE": str(spectral_bundle.folder),
        "VOXWATCH_PROVIDER": "cpu",
        "VOXWATCH_CONFIG": "",
    }


@pytest.fixture
def run(settings: dict[str, str]) -> Run:
    """A command within this process; a failure is raised, as `main` would print it."""

    def invoke(*arguments: object, input: str | bytes | None = None) -> Result:
        result = CliRunner(env=settings).invoke(app, [*map(str, arguments)], input=input)
        if isinstance(result.exception, VoxwatchError | ClientError):
            raise result.exception
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return invoke


@pytest.fixture
def recorded(tmp_path: Path, voice: Callable[..., Any]) -> Callable[..., Path]:
    """``recorded("anna", 25, seed=1)``: a file of that voice."""

    def write(name: str, seconds: float = 25.0, *, seed: int = 0) -> Path:
        path = tmp_path / f"{name}{seconds:g}-{seed}.wav"
        quiet = np.random.default_rng(seed).normal(0, 1e-3, 8_000)  # to measure the noise by
        sound = np.concatenate([quiet, voice(name, seconds, seed=seed), quiet])
        sf.write(path, sound, 16_000, subtype="FLOAT")
        return path

    return write


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


# enroll and profiles.


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
    settings: dict[str, str], run: Run, recorded: Any
) -> None:
    settings["VOXWATCH_TTL_DAYS"] = "30"
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


# replay.


def test_replay_knows_the_voices_of_the_store(run: Run, recorded: Any) -> None:
    run("enroll", "anna", recorded("anna"), "--consent")
    assert run("enroll", "bert", recorded("bert", seed=3), "--consent").exit_code == 0
    file = recorded("anna", 6.0, seed=6)
    told = lines(run("replay", file).stdout)
    assert {e["speaker"] for e in told if e["type"] == "score"} == {"anna"}
    assert {e["runner_up"] for e in told if e["type"] == "score"} == {"bert"}
    told = lines(run("replay", file, "--claim", "bert, anna").stdout)
    assert {e["speaker"] for e in told if e["type"] == "score"} == {"anna", "bert"}
    told = lines(run("replay", file, "--claim", "bert").stdout)
    assert [e["state"] for e in told if e["type"] == "decision"][-1] == "mismatch"
    with pytest.raises(VoxwatchError, match="'eve' is not enrolled"):
        run("replay", file, "--claim", "eve")


def test_replay_with_recordings_of_voices_leaves_the_store_alone(run: Run, recorded: Any) -> None:
    run("enroll", "anna", recorded("anna"), "--consent")
    file = recorded("anna", 6.0, seed=6)
    told = lines(run("replay", file, "--enroll", f"bert={recorded('bert')}").stdout)
    named = {(e["speaker"], e["runner_up"]) for e in told if e["type"] == "score"}
    assert named == {("bert", None)}
    with pytest.raises(VoxwatchError, match="'anna' is not enrolled: --enroll names bert"):
        run("replay", file, "--enroll", f"bert={recorded('bert')}", "--claim", "anna")


def test_replay_enrols_one_channel_or_a_poor_recording_where_told_to(
    run: Run, recorded: Any, tmp_path: Path
) -> None:
    file, short = recorded("anna", 6.0, seed=6), recorded("anna", 2.0)
    with pytest.raises(VoxwatchError, match="3 s are needed"):
        run("replay", file, "--enroll", f"anna={short}")
    told = lines(run("replay", file, "--enroll", f"anna={short}", "--allow-poor").stdout)
    assert {e["speaker"] for e in told if e["type"] == "score"} == {"anna"}
    both = tmp_path / "both.wav"
    sides = [sf.read(recorded(name), dtype="float32")[0] for name in ("bert", "anna")]
    sf.write(both, np.stack(sides, axis=1), 16_000)
    asked = "replay", file, "--enroll", f"anna={both}", "--claim", "anna"
    for channel, state in ((0, "mismatch"), (1, "match")):
        told = lines(run(*asked, "--channel", channel).stdout)
        assert [e["state"] for e in told if e["type"] == "decision"][-1] == state
    with pytest.raises(VoxwatchError, match="choose one with --channel"):
        run(*asked)


def test_replay_takes_the_prior_and_the_rates(run: Run, recorded: Any) -> None:
    asked = "replay", recorded("anna", 6.0, seed=6), "--enroll", f"anna={recorded('anna')}"
    plain = lines(run(*asked, "--claim", "anna").stdout)
    doubted = lines(run(*asked, "--claim", "anna", "--prior", 1e-9).stdout)
    posteriors = [
        [e["posterior"] for e in told if e["type"] == "score"] for told in (plain, doubted)
    ]
    assert all(after < before for before, after in zip(*posteriors, strict=True))
    strict = lines(run(*asked, "--claim", "anna", "--false-accept", 1e-300).stdout)
    states = [[e["state"] for e in told if e["type"] == "decision"] for told in (plain, strict)]
    assert "match" in states[0]
    assert "match" not in states[1]
    fast = lines(run(*asked, "--claim", "anna", "--speed", 1000).stdout)
    assert fast == plain
    with pytest.raises(VoxwatchError, match="prior"):
        run(*asked, "--prior", 2)


@pytest.mark.parametrize("speed", ["fast", "0", "-1", "nan", "1e9"])
def test_a_speed_is_a_number_or_max(run: Run, recorded: Any, speed: str) -> None:
    done = run("replay", recorded("anna", 1.0), f"--speed={speed}")
    assert done.exit_code == 2
    assert "neither `max` nor a number" in done.stderr


# token.


def test_a_new_token_is_the_one_that_the_lines_know(run: Run) -> None:
    done = run("token", "new", "--role", "stream", "--role", "monitor", "--name", 'Ann"s "desk"')
    assert done.stderr == ""
    token = done.stdout.partition("\n")[0].rpartition(": ")[2]
    (entry,) = tomllib.loads(done.stdout)["tokens"]
    assert entry["name"] == 'Ann"s "desk"'
    assert entry["sha256"] == hashlib.sha256(token.encode()).hexdigest()
    known = Token(name=entry["name"], roles=tuple(entry["roles"]), sha256=entry["sha256"])
    assert Auth([known], open_loopback=True).grant(token, 0.0).roles == {"stream", "monitor"}
    again = run("token", "new", "--role", "stream").stdout
    assert token not in again
    assert "to the server's configuration" in again.splitlines()[1]
    assert run("token", "new", "--role", "king").exit_code == 2


# doctor and bench.


def test_the_doctor_says_what_is_wrong_and_returns_1(run: Run, tmp_path: Path) -> None:
    healthy = run("doctor", "--json")
    assert {check["name"] for check in lines(healthy.stdout)} >= {"model", "store", "port", "clock"}
    (tmp_path / "empty").mkdir()
    ill = run("doctor", "--bundle", tmp_path / "empty")
    assert ill.exit_code == 1
    assert "FAIL model" in ill.stdout


@pytest.mark.parametrize("kind", ["engine", "streams"])
def test_a_benchmark_gets_its_options_and_its_report_is_printed(
    run: Run, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    from streamer.bench import engine, streams

    module = {"engine": engine, "streams": streams}[kind]
    asked = []

    def measure(options: Any, progress: Callable[[str], None]) -> Any:
        asked.append(options)
        progress("measuring")
        return SimpleNamespace(json=lambda: "{}", table=lambda: "a table")

    monkeypatch.setattr(module, "run", measure)
    done = run("bench", kind, "--provider", "cpu", "--seconds", 3, "--streams", 7)
    assert (done.stdout, done.stderr) == ("a table\n", "")  # nobody watches it
    assert run("bench", kind, "--json").stdout == "{}\n"
    assert (asked[0].provider, asked[0].seconds, asked[0].streams) == ("cpu", 3.0, 7)
    assert (asked[1].provider, asked[1].streams) == ("auto", None)


# serve, and what talks to it.


@contextlib.contextmanager
def serving(settings: dict[str, str], *options: str) -> Iterator[tuple[str, Any]]:
    """A server process and its address."""
    process = subprocess.Popen(
        [*COMMAND, "serve", "--port", "0", *options],
        env={**os.environ, **settings, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert select.select([process.stdout], [], [], 60)[0]
        said = process.stdout.readline()
        assert " is ready: spectral 1 on cpu" in said, said or process.stderr
        yield said.split()[0], process
    finally:
        process.kill()
        process.communicate()


def ended(process: subprocess.Popen[str], number: signal.Signals, status: int) -> str:
    """The log of a server that a signal ended, and well."""
    process.send_signal(number)
    _, log = process.communicate(timeout=30)
    assert process.returncode == status
    assert "Traceback" not in log
    assert "ending: " in log
    return log


def test_a_terminal_that_is_closed_lets_streams_tell_what_they_know(
    settings: dict[str, str],
) -> None:
    with serving(settings) as (_, process):
        ended(process, signal.SIGHUP, 0)


def test_the_server_warns_of_its_settings_once_it_is_ready(settings: dict[str, str]) -> None:
    with serving({**settings, "VOXWATCH_GLANCE": "true"}) as (_, process):
        log = ended(process, signal.SIGTERM, 0)
    (warning,) = (line for line in log.splitlines() if "glance" in line)
    assert re.fullmatch(
        r"[\d-]+ [\d:,]+ WARNING glance .* does nothing any more: remove it", warning
    )


def test_an_interrupt_ends_the_server(settings: dict[str, str]) -> None:
    with serving(settings) as (_, process):
        log = ended(process, signal.SIGINT, 130)
        assert log.splitlines()[-1].startswith("ending")


def test_streaming_and_enrolling_on_a_server(
    settings: dict[str, str], run: Run, recorded: Any
) -> None:
    with serving(settings) as (url, process):
        done = run("enroll", "anna", recorded("anna"), "--consent", "--server", url)
        assert done.stdout == "anna is enrolled: 1 prototype from 20.0 s of speech\n"
        # The store can be used while the server has it open.
        assert lines(run("profiles", "list", "--json").stdout)[0]["name"] == "anna"
        file = recorded("anna", 6.0, seed=6)
        asked = "--server", url, "--claim", "anna", "--speed", "max"
        told = lines(run("stream", file, *asked).stdout)
        assert told[-1]["type"] == "summary"
        here = lines(run("replay", file, "--claim", "anna").stdout)
        # A busy machine may score less often, and says so; what it says of a window stays the
        # same. Evidence adds up over the windows, so that it is compared where none is left out.
        scores = {e["t"]: {**e, "seq": 0} for e in here if e["type"] == "score"}
        served = [{**e, "seq": 0} for e in told if e["type"] == "score"]
        assert all(score.pop("at_time") for score in served)  # a recording has no time of day
        left_out = len(served) < len(scores)
        for score in served:
            expected = scores[score["t"]]
            assert score == (expected | {"evidence": score["evidence"]} if left_out else expected)
        assert not left_out or any(e["type"] == "lag" for e in told)
        states = [
            [e["state"] for e in events if e["type"] == "decision"] for events in (told, here)
        ]
        assert states[0][-1] == states[1][-1] == "match"

        raw = np.round(32767 * sf.read(file)[0]).astype("<i2").tobytes()
        piped = subprocess.run(
            [*COMMAND, "stream", "-", *asked],
            input=raw,
            env={**os.environ, **settings, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            check=True,
        )
        assert lines(piped.stdout.decode())[-1]["received_s"] == 7.0

        with pytest.raises(ServerError, match=r"eve.*\(unknown-speaker\)"):
            run("stream", file, "--server", url, "--claim", "eve")
        with pytest.raises(ServerError, match=r"\(name-taken\)"):
            run("enroll", "anna", file, "--consent", "--server", url)
        refused = run("enroll", "bert", recorded("bert", 3.0), "--consent", "--server", url)
        assert refused.exit_code == 1
        assert "(too-short)" in refused.stderr
        log = ended(process, signal.SIGTERM, 0)
        assert "anna" not in log
        assert "bert" not in log


def test_a_server_that_stops_cuts_a_stream_short(
    settings: dict[str, str], voice: Any, tmp_path: Path
) -> None:
    sf.write(tmp_path / "long.wav", np.tile(voice("anna", 8.0), 15), 16_000)
    with serving(settings) as (url, process):
        command = ["stream", str(tmp_path / "long.wav"), "--server", url]
        with subprocess.Popen(
            [*COMMAND, *command],
            env={**os.environ, **settings, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as client:
            assert client.stdout is not None
            first = client.stdout.readline()
            process.terminate()
            rest, said = client.communicate(timeout=60)
    assert lines(first + rest)[-1]["type"] == "summary"
    assert client.returncode == 2
    assert re.fullmatch(
        r"error: the server ended the stream after \d+\.\d s of 120\.0 s: .*\n", said
    )


@pytest.mark.parametrize("damage", ["cut short", "in the middle"])
def test_a_file_that_was_not_heard_whole_is_an_error(
    settings: dict[str, str], voice: Any, tmp_path: Path, damage: str
) -> None:
    file = tmp_path / ("cut.wav" if damage == "cut short" else "hole.flac")
    sf.write(file, voice("anna", 8.0), 16_000)
    sound = bytearray(file.read_bytes())
    if damage == "cut short":
        del sound[len(sound) // 2 :]
    else:
        sound[len(sound) // 2 : len(sound) // 2 + 20_000] = bytes(20_000)
    file.write_bytes(sound)
    with serving(settings) as (url, _):
        done = subprocess.run(
            [*COMMAND, "stream", str(file), "--server", url, "--speed", "max"],
            env={**os.environ, **settings, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 2
    assert re.fullmatch(rf"error: {file}: damaged or cut short .*: copy it again\n", done.stderr)


def test_an_authority_that_cannot_be_read_is_named(run: Run, recorded: Any, tmp_path: Path) -> None:
    sound, missing, wrong = recorded("anna", 1.0), tmp_path / "nope.pem", tmp_path / "text.pem"
    wrong.write_text("no certificate")
    for file, why in ((missing, "No such file"), (wrong, "holds no certificate")):
        with pytest.raises(VoxwatchError, match=f"--ca {file}: {why}"):
            run("stream", sound, "--server", "wss://127.0.0.1:9", "--ca", file)


@pytest.mark.parametrize("option", ["--rate=4000", "--window=9", "--hop=0"])
def test_an_option_out_of_its_range_is_named(run: Run, option: str) -> None:
    done = run("stream", "-", option)
    assert done.exit_code == 2
    assert option.partition("=")[0] in done.stderr


def test_a_port_in_use_and_a_place_that_needs_tokens(
    settings: dict[str, str], run: Run, recorded: Any
) -> None:
    async def taken() -> None:
        async with await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            done = await asyncio.to_thread(
                subprocess.run,
                [*COMMAND, "serve", "--port", str(port)],
                env={**os.environ, **settings, "PYTHONPATH": str(ROOT)},
                capture_output=True,
                text=True,
            )
            assert done.returncode == 2
            assert done.stdout == ""
            (line,) = done.stderr.splitlines()
            place = f"127.0.0.1:{port} (Address already in use)"
            assert line == f"error: cannot listen on {place}: choose another port, or host"

    asyncio.run(taken())
    with pytest.raises(VoxwatchError, match="token"):
        run("serve", "--host", "0.0.0.0")
    with pytest.raises(ConnectionFailed, match="is `voxwatch serve` running"):
        run("stream", recorded("anna", 1.0), "--server", "ws://127.0.0.1:9")


# listen, through real PortAudio.


def test_no_microphone_to_list_is_said(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamer.sources.microphone.devices", list)
    done = run("listen", "--list-devices")
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == "no microphone is connected\n"


def test_listening_says_who_speaks_until_it_is_interrupted(
    settings: dict[str, str], recorded: Any, voice: Any, tmp_path: Path
) -> None:
    if ctypes.util.find_library("portaudio") is None or ctypes.util.find_library("asound") is None:
        pytest.skip("PortAudio with ALSA is not installed here (apt install libportaudio2)")
    sound = voice("anna", 8.0, seed=6, rate_hz=44_100)  # the rate that ALSA tells of its plugin
    sound = np.repeat(np.tile(sound, 20), 2)  # on both channels of the device
    (tmp_path / "voice.raw").write_bytes(np.round(32767 * sound).astype("<i2").tobytes())
    (tmp_path / ".asoundrc").write_text(
        f'pcm.fakemic {{ type file slave.pcm null file /dev/null infile "{tmp_path}/voice.raw"'
        " format raw }\npcm.null { type null }\n"
    )
    env = {**os.environ, **settings, "PYTHONPATH": str(ROOT), "HOME": str(tmp_path)}
    listed = subprocess.run(
        [*COMMAND, "listen", "--list-devices"], env=env, capture_output=True, text=True, check=True
    )
    assert re.search(r"44\.1 kHz +\d+ ch  fakemic$", listed.stdout, re.MULTILINE)
    wrong = subprocess.run(
        [*COMMAND, "listen", "--device", "usb"],
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert wrong.returncode == 2
    assert wrong.stderr.startswith("error: no microphone fits 'usb'; there are ")
    # It plays as fast as it is read: what the engine cannot take is lost, and said to be.
    command = ["listen", "--json", "--claim", "anna", "--enroll", f"anna={recorded('anna')}"]
    with subprocess.Popen(
        [*COMMAND, *command], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        told = []
        never = threading.Timer(60, process.kill)  # the sound has no end
        never.start()
        for line in process.stdout:
            told.append(json.loads(line))
            if told[-1]["type"] == "score":
                process.send_signal(signal.SIGINT)
                break
        never.cancel()
        rest, errors = process.communicate(timeout=60)
    told += lines(rest)
    assert process.returncode == 130, errors
    assert {e["speaker"] for e in told if e["type"] == "score"} == {"anna"}
    assert told[-1]["type"] == "summary"
    assert "Traceback" not in errors
