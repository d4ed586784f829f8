"""Transcripts in a real Pipecat pipeline: the claimed speaker's pass, a stranger's do not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from streamer.server.server import Server


@pytest.fixture
def run(peer: Any, tmp_path: Path) -> Any:
    async def pipeline(
        url: str, steps: list[Any], *, at: Any = None, **gate: Any
    ) -> list[dict[str, Any]]:
        options = {"claim": "anna", "wait_s": 20.0, **gate}
        plan = {"url": url, "gate": options, "steps": steps}
        path = tmp_path / "plan.json"
        path.write_text(json.dumps(plan))
        told: list[dict[str, Any]] = await peer("pipecat", str(path), at=at)
        return told

    return pipeline


def turn(sound: str, words: str) -> list[Any]:
    return [["began"], ["sound", sound], ["stopped"], ["silence", 0.3], ["text", words]]


async def test_only_the_claimed_speakers_words_pass(server: Server, run: Any, said: Any) -> None:
    steps = [
        *turn(said("anna", 3.0), "open the door"),
        ["silence", 2.0],
        *turn(said("bert", 3.0), "and the safe"),
        ["silence", 2.0],
        *turn(said("anna", 3.0), "thank you"),
        ["silence", 1.0],
    ]
    told = await run(server.url, steps)
    words = [(one["text"], one["user"]) for one in told if "text" in one]
    assert words == [("open the door", "anna"), ("thank you", "anna")]
    finals = [one["state"] for one in told if one.get("final")]
    assert finals == ["match", "mismatch", "match"]


async def test_sound_that_overtakes_a_transcript_does_not_decide_it(
    server: Server, run: Any, said: Any
) -> None:
    steps = [
        ["began"],
        ["sound", said("bert", 3.0)],
        ["stopped"],
        ["silence", 0.5],
        ["began"],
        ["sound", said("anna", 2.0)],  # she speaks, and the words of the stranger come only now
        ["text", "the stranger's words"],
        ["sound", said("anna", 3.0)],
        ["stopped"],
        ["silence", 0.3],
        ["text", "her own words"],
        ["silence", 1.0],
    ]
    told = await run(server.url, steps)
    finals = [one["state"] for one in told if one.get("final")]
    assert finals == ["mismatch", "match"]
    assert [one["text"] for one in told if "text" in one] == ["her own words"]


async def test_nobody_but_the_claimed_speaker_interrupts(
    server: Server, run: Any, said: Any
) -> None:
    steps = [
        ["began"],
        ["sound", said("bert", 3.0)],
        ["sound until", said("bert", 3.0), "mismatch"],
        ["stopped"],
        ["silence", 1.0],
        ["began"],
        ["sound", said("anna", 3.0)],
        ["sound until", said("anna", 3.0), "match"],
        ["sound", said("anna", 0.2)],
        ["stopped"],
        ["silence", 1.0],
    ]
    told = await run(server.url, steps)
    begins = [(one["state"], one["interrupts"]) for one in told if one.get("begins")]
    assert set(begins) == {("match", True)}


async def test_late_news_of_what_was_said_before_interrupts_nobody(
    server: Server, run: Any, said: Any
) -> None:
    steps = [["began"], ["stopped"], ["sound", said("anna", 3.0)], ["silence", 1.0]]
    told = await run(server.url, steps)
    assert "match" in {one["state"] for one in told if "state" in one}
    assert not any(one["begins"] or one["present"] for one in told if "begins" in one)


@pytest.mark.parametrize(("when_unsure", "passed"), [("drop", []), ("pass", ["hello"])])
async def test_without_a_server_the_stated_default_holds(
    run: Any, said: Any, when_unsure: str, passed: list[str]
) -> None:
    steps = turn(said("anna", 1.0), "hello")
    told = await run("ws://127.0.0.1:9", steps, wait_s=0.2, when_unsure=when_unsure)
    assert [one["text"] for one in told if "text" in one] == passed
    turns = [one["interrupts"] for one in told if one.get("begins")]
    assert turns == [False for _ in passed]  # what is let through unjudged interrupts nobody


@pytest.mark.parametrize(("when_unsure", "passed"), [("drop", []), ("pass", ["hello"])])
async def test_a_verdict_that_does_not_come_in_time_gets_the_stated_default(
    silent: str, run: Any, said: Any, when_unsure: str, passed: list[str]
) -> None:
    steps = turn(said("anna", 1.0), "hello")
    told = await run(silent, steps, wait_s=0.3, when_unsure=when_unsure)
    assert [one["text"] for one in told if "text" in one] == passed
    assert [one["state"] for one in told if one.get("final")] == ["unavailable"]
    (held,) = [one["held_s"] for one in told if "held_s" in one]
    assert passed == [] or held[0] >= 0.3


async def test_a_restart_in_the_middle_of_a_turn_is_survived(
    place: Any, run: Any, said: Any, restart: Any
) -> None:
    await place.start()
    hers = said("anna", 3.0)
    steps = [
        ["began"],
        ["sound", hers],
        ["at", "middle"],
        ["sound until", hers, False],
        ["at", "away"],
        ["sound until", hers, True],
        ["stopped"],
        ["silence", 0.3],
        ["text", "half of it was not heard"],
        ["silence", 2.0],
        *turn(said("bert", 3.0), "and I"),
        ["silence", 2.0],
        *turn(hers, "thank you"),
        ["silence", 1.0],
    ]
    told = await run(place.url, steps, at=restart)
    assert [one["state"] for one in told if one.get("final")] == [
        "unavailable",
        "mismatch",
        "match",
    ]
    assert [one["text"] for one in told if "text" in one] == ["thank you"]
