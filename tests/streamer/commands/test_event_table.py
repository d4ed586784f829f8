"""What a stream says, for people and for programs."""

from __future__ import annotations

import json
import sys

import pytest

from engine.events import (
    AnyEvent,
    Change,
    Decision,
    Failure,
    Lag,
    Quality,
    Score,
    Stalled,
    Summary,
    Utterance,
    Vad,
)
from streamer.commands.event_table import EventLines, EventTable, printer


def decision(state: str, speaker: str | None, since: float, advice: str = "") -> Decision:
    return Decision(
        t=since + 0.5, state=state, speaker=speaker, since=since, llr=2.0, net_speech_s=since,
        reason="LLR 6.2 is above the bound of 4.6", evidence=6.21, advice=advice,
    )  # fmt: skip


def quality(t: float, *problems: str) -> Quality:
    return Quality(
        t=t, level_dbfs=-20.0, clipped=0.0, snr_db=20.0, speech_share=0.9, problems=problems
    )  # fmt: skip


EVENTS: list[AnyEvent] = [
    Vad(t=0.4, speech=True, at=0.3),
    Score(
        t=1.5, speaker="alice", cosine=0.5, norm=2.0, llr=6.0, posterior=0.99, runner_up=None,
        net_speech_s=1.2, window_s=1.2,
    ),
    quality(2.0),
    decision("match", "alice", 1.5),
    quality(4.0, "noisy"),
    quality(6.0, "noisy"),
    quality(8.0),
    Utterance(
        t=8.6, start=0.3, end=8.0, speech_s=7.1, state="match", speaker="alice", llr=4.2,
        evidence=7.04,
    ),
    Change(
        t=64.0, at=62.55, detected_at=64.0, llr=-3.4, from_speaker="alice", to_speaker="voice-2",
    ),
    decision("mismatch", "alice", 62.55),
    decision("uncertain", None, 70.0, "speak louder"),
    Lag(t=71.0, reason="overload", behind_s=1.25, hop_s=None, dropped=3),
    Stalled(t=72.0, stalled=True, gap_s=3.0),
    Stalled(t=72.0, stalled=False, gap_s=9.0),
    Failure(t=73.0, code="window-failed", message="a window could not be scored"),
    Summary(t=80.0, received_s=80.0, speech_s=60.0, match_s=41.0, decisions={}, model="m 1"),
]  # fmt: skip

TABLE = """\
    time  event      state          who                     LLR    speech
  0:01.5  state      match          alice                  +6.2     1.5 s  LLR 6.2 is above the bound of 4.6
  0:04.0  sound                                                            noisy
  0:08.0  sound                                                            good
  0:08.0  turn       match          alice                  +7.0     7.1 s  0:00.3 to 0:08.0
  1:02.6  change                    voice-2                -3.4            noticed 1.5 s later
  1:02.6  state      mismatch       not alice              +6.2    62.5 s  LLR 6.2 is above the bound of 4.6
  1:10.0  state      uncertain      -                      +6.2    70.0 s  speak louder
  1:11.0  lag                                                              overload: 1.2 s behind, 3 dropped
  1:12.0  stalled                                                          no sound comes
  1:12.0  stalled                                                          sound again after 9 s
  1:13.0  error                                                            a window could not be scored
  1:20.0  end                                                              80.0 s of sound, 60.0 s of speech, 41.0 s of it a match
"""  # noqa: E501 - a table is as wide as it is


def test_a_table_has_what_is_news_in_columns(capsys: pytest.CaptureFixture[str]) -> None:
    table = EventTable()
    for event in EVENTS:
        table.update(event)
    assert capsys.readouterr().out.splitlines() == TABLE.splitlines()


def test_lines_have_every_event_with_a_number(capsys: pytest.CaptureFixture[str]) -> None:
    lines = EventLines()
    for event in EVENTS:
        lines.update(event)
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["seq"] for line in told] == list(range(len(EVENTS)))
    assert told[3]["state"] == "match"


@pytest.mark.parametrize(
    ("terminal", "as_json", "kind"),
    [(True, False, EventTable), (True, True, EventLines), (False, False, EventLines)],
)
def test_a_table_is_for_terminals_unless_json_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, terminal: bool, as_json: bool, kind: type
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)
    assert type(printer(as_json)) is kind
