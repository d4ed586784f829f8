"""The table in the terminal says what the events said."""

from __future__ import annotations

import io

from msgspec import structs
from rich.console import Console

from engine.decisions.config import DecisionConfig
from engine.events import Change, Decision, Failure, Lag, Quality, Score, Summary, Vad
from streamer.local.live_table import LiveTable


def shown(*events: object) -> str:
    console = Console(file=io.StringIO(), width=100, force_terminal=False)
    table = LiveTable("USB", DecisionConfig(), console)
    for event in events:
        table.update(event)
    console.print(table.render())
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


SCORE = Score(
    t=3,
    speaker="alice",
    cosine=0.5,
    norm=3,
    llr=6.25,
    posterior=0.998,
    runner_up=None,
    net_speech_s=2.5,
    window_s=2.5,
    evidence=9.75,
)
DECISION = Decision(
    t=3, state="match", speaker="alice", since=3, llr=6.25, net_speech_s=2.5, reason=""
)


def quality(level_dbfs: float | None, *problems: str) -> Quality:
    return Quality(
        t=4,
        level_dbfs=level_dbfs,
        clipped=0,
        snr_db=None,
        speech_share=1,
        problems=problems,
    )


def test_before_anything_is_heard() -> None:
    text = shown()
    assert "NOT ENOUGH SPEECH YET" in text
    assert "USB" in text


def test_an_open_state_says_why_and_what_helps() -> None:
    open_state = structs.replace(
        DECISION, state="uncertain", reason="evidence 1.0", cause="noisy", advice="go elsewhere"
    )
    assert "go elsewhere" in shown(SCORE, open_state)


def test_state_score_and_bounds() -> None:
    text = shown(SCORE, DECISION)
    assert " MATCH " in text
    for part in ("alice", "+6.2", "99.8 %", "2.5 s", "3.0 s  match alice"):
        assert part in text, part
    (evidence,) = [line for line in text.splitlines() if "bounds -3.0 and 4.6" in line]
    assert "evidence" in evidence
    assert "+9.8" in evidence


def test_level_speech_and_problems() -> None:
    assert "##########.......... -30 dBFS silence clipped" in shown(quality(-30.0, "clipped"))
    assert "speech" in shown(Vad(t=1, speech=True, at=0.5), quality(-20.0))
    assert "." * 20 in shown(quality(-90.0))
    assert "dBFS" not in shown(quality(None, "no-speech"))


def test_what_happened_last_is_kept() -> None:
    change = Change(t=9, at=7.5, detected_at=9, llr=-8, from_speaker="alice", to_speaker=None)
    lag = Lag(t=10, reason="input-overflow", behind_s=0.3, hop_s=None, dropped=2)
    failure = Failure(t=11, code="window-failed", message="out of memory")
    end = Summary(t=12, received_s=12, speech_s=8, match_s=4, decisions={}, model="m")
    text = shown(change, lag, failure, end)
    for part in (
        "another voice, since 7.5 s",
        "input-overflow: 0.3 s",
        "out of memory",
        "8.0 s of",
    ):
        assert part in text, part
    assert "lost          2" in text
    many = [Failure(t=i, code="window-failed", message=f"failure {i}") for i in range(20)]
    assert "failure 19" in shown(*many)
    assert "failure 13" not in shown(*many)
