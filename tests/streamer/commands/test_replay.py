"""`replay`: recordings heard as a stream, against the store's voices or recordings of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
from program import Run, lines

from engine.errors import VoxwatchError


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
