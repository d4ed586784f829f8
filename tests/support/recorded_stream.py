"""Entries of a stream as the record has them, for tests of what is made of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from engine import events
from engine.scoring.expected_rates import ExpectedRate
from engine.scoring.measured_rates import DecisionRates, MeasuredRates, TakeoverRates
from streamer.records.entries import (
    Acted,
    AnyEntry,
    Claimed,
    Connection,
    Ended,
    Scores,
    Started,
    Told,
    VoiceprintFacts,
)
from streamer.wire.messages import Bounds, Model

NOON = 1_795_860_000.0  # 2026-11-28 10:00:00 UTC
ENROLLED_AT = NOON - 30 * 86400
MODEL = Model(name="tiny", version="7", sha256="ab" * 32, provider="cpu")
BOUNDS = Bounds(false_accept=0.01, miss=0.05, accept_llr=4.55, reject_llr=-2.99)
MEASURED = MeasuredRates(
    decisions=(
        DecisionRates(
            source="a",
            false_accept=0.01,
            miss=0.05,
            false_accepts=0.0169,
            false_rejects=0.0208,
            accepted=0.924,
        ),
        DecisionRates(
            source="b",
            false_accept=0.01,
            miss=0.05,
            false_accepts=0.0203,
            false_rejects=0.0,
            accepted=0.962,
        ),
        DecisionRates(
            source="a",
            false_accept=0.05,
            miss=0.05,
            false_accepts=0.038,
            false_rejects=0.3,
            accepted=0.6,
        ),
    ),
    takeovers=(
        TakeoverRates(
            per_hour=1.0, streams=221, delay_s_p50=2.728, missed=0.149, false_alarms=0, hours=0.96
        ),
        TakeoverRates(
            per_hour=5.0, streams=221, delay_s_p50=2.0, missed=0.077, false_alarms=5, hours=0.96
        ),
    ),
)


class RecordedStream:
    """A stream that began at ``NOON``; its entries are in ``entries``."""

    def __init__(self, name: str = "Anna", *, stream: str = "s-1", **facts: Any) -> None:
        self.stream, self.entries = stream, list[AnyEntry]()
        self.paused_s = 0.0  # of the clock, in which no media time went by
        self._comes_at: float | None = None  # all that is told now, as the network kept it
        self.entries.append(
            Started(
                at=NOON,
                t=0.0,
                stream=stream,
                server="voxwatch 0.4.0",
                model=MODEL,
                false_alarms_per_hour=1.0,
                measured=MEASURED,
                live=True,
                **self.terms(name),
                **facts,
            )
        )

    @staticmethod
    def terms(name: str) -> dict[str, Any]:
        """A claim of one person."""
        facts = VoiceprintFacts(
            speaker=name,
            enrolled_at=ENROLLED_AT,
            speech_s=21.5,
            consent_version="2026-11",
            consent_at=ENROLLED_AT - 5,
        )
        rates = (ExpectedRate(3.0, 0.01, 0.012, 0.25), ExpectedRate(10.0, 0.01, 0.008, 0.1))
        return {
            "mode": "verify",
            "claims": (name,),
            "voiceprints": (facts,),
            "compared": 1,
            "bounds": BOUNDS,
            "expected_rates": rates,
        }

    def at(self, t: float) -> float:
        """The time of day at a media time, by now."""
        return NOON + t + self.paused_s if self._comes_at is None else self._comes_at

    def tell(self, event: events.Event) -> None:
        """An event of the stream."""
        self.entries.append(Told(at=self.at(event.t), t=event.t, event=event))

    def score(self, since: float, until: float, evidence: Sequence[float]) -> None:
        """One score a second, by turns of ``evidence``."""
        for number, t in enumerate(range(int(since), int(until))):
            value = evidence[number % len(evidence)]
            self.entries.append(
                Scores(at=self.at(t), t=float(t), speaker="Anna", evidence=value, llr=value)
            )

    def decide(
        self, t: float, state: events.State, since: float | None = None, **more: Any
    ) -> None:
        """A decision, told at ``t``."""
        fields = {"speaker": "Anna", "llr": None, "net_speech_s": t, "reason": f"{state} it is"}
        since = t if since is None else since
        self.tell(events.Decision(t=t, state=state, since=since, **(fields | more)))

    def take_over(self, at: float, noticed: float) -> None:
        """Another voice began, and was told when it was noticed."""
        self.tell(
            events.Change(
                t=noticed,
                at=at,
                detected_at=noticed,
                llr=-4.1,
                from_speaker="Anna",
                to_speaker="voice-2",
            )
        )

    def say(self, start: float, end: float, state: events.State, llr: float) -> None:
        """A turn with its verdict."""
        self.tell(
            events.Utterance(
                t=end + 0.6,
                start=start,
                end=end,
                speech_s=end - start,
                state=state,
                speaker="Anna",
                llr=llr,
                evidence=llr + 1.5 if llr > 0 else llr,
                reason=f"{state} by itself",
            )
        )

    def hear(self, t: float, *problems: events.Problem) -> None:
        """How the sound of the last two seconds was."""
        self.tell(
            events.Quality(
                t=t, level_dbfs=-31.0, clipped=0.0, snr_db=4.0, speech_share=1.0, problems=problems
            )
        )

    def be_silent(self, t: float) -> None:
        """Nobody spoke in the last two seconds."""
        self.tell(
            events.Quality(
                t=t,
                level_dbfs=-70,
                clipped=0.0,
                snr_db=None,
                speech_share=0.0,
                problems=("no-speech",),
            )
        )

    def overlap(self, start: float, end: float) -> None:
        """Two spoke at once; its beginning is told, and its end."""
        self.tell(events.Overlap(t=start + 0.5, start=start, end=None))
        self.tell(events.Overlap(t=end + 0.5, start=start, end=end))

    def claim(self, t: float, name: str) -> None:
        """Another claim holds from here on."""
        self.entries.append(Claimed(at=self.at(t), t=t, **self.terms(name)))

    def lose(self, t: float, for_s: float) -> None:
        """The connection drops and comes back."""
        self.entries.append(Connection(at=self.at(t), t=t, state="dropped", why="connection reset"))
        self.paused_s += for_s
        self.entries.append(Connection(at=self.at(t), t=t, state="resumed"))

    def keep_back(self, t: float, late_s: float) -> None:
        """The network keeps what is said for so long, which comes at once afterwards.

        What is told of it from here on is told then, until :meth:`catch_up`.
        """
        self.tell(events.Stalled(t=t, stalled=True, gap_s=0.0))
        self._comes_at = NOON + self.paused_s + t + late_s
        back = events.Stalled(t=t, stalled=False, gap_s=late_s, late_s=late_s)
        self.entries.append(Told(at=self._comes_at, t=t, event=back))

    def catch_up(self) -> None:
        """What is told from here on comes as it is said."""
        self._comes_at = None

    def act(self, t: float, act: Any, **more: Any) -> None:
        """What somebody at the desk did."""
        self.entries.append(Acted(at=self.at(t), t=t, who="desk", act=act, **more))

    def end(self, t: float, speech_s: float, why: str = "the client ended it") -> None:
        """The stream is over."""
        summary = events.Summary(
            t=t, received_s=t, speech_s=speech_s, match_s=speech_s / 2, decisions={}, model="tiny 7"
        )
        self.entries.append(Ended(at=self.at(t), t=t, code=1000, why=why, summary=summary))


def taken_over(**facts: Any) -> RecordedStream:
    """Anna for 60 s, then somebody else for 30; noise, a lost connection, and a desk that acts."""
    found = RecordedStream(**facts)
    found.decide(1.7, "insufficient")
    found.score(2, 60, [6.8, 7.6, 8.1, 7.2])
    found.decide(2.7, "match", evidence=7.3)
    found.say(0.5, 40.0, "match", 8.0)
    found.hear(42.0)
    found.hear(44.0, "noisy")
    found.hear(46.0, "noisy")
    found.lose(50.0, 20.0)
    found.score(61, 90, [-5.0, -7.0, -9.0])
    found.decide(61.0, "uncertain", cause="another-voice")
    found.take_over(60.0, 62.0)
    found.decide(62.0, "uncertain", since=60.0, reason="another voice since 60.0 s")
    found.decide(63.5, "mismatch", evidence=-6.0)
    found.say(60.0, 88.0, "mismatch", -12.0)
    found.end(90.0, 80.0)
    found.act(95.0, "acknowledge", incident="s-1/2")
    found.act(96.0, "note", incident="s-1/2", text="Called the room: a sister answered.")
    found.act(97.0, "note", text="Spoke with the candidate.")
    found.act(99.0, "verdict", verdict="needs-review", text="Listen to it again.")
    found.act(120.0, "verdict", verdict="violation", text="The sister admitted it.")
    return found


def taken_over_unseen(**facts: Any) -> RecordedStream:
    """As the network keeps 30 s, somebody else speaks for 15 of them; all of it comes at once."""
    found = RecordedStream(**facts)
    found.score(2, 60, [7.0, 8.0])
    found.decide(2.7, "match", evidence=7.3)
    found.keep_back(60.0, 30.0)
    found.score(61, 70, [7.0, 8.0])
    found.take_over(70.0, 72.0)
    found.decide(73.0, "mismatch", since=70.0, evidence=-6.0)
    found.score(73, 84, [-5.0, -7.0])
    found.say(70.0, 85.0, "mismatch", -12.0)
    found.decide(87.0, "match", since=85.0, evidence=7.0)
    found.score(87, 90, [7.0, 8.0])
    found.catch_up()
    found.score(91, 120, [7.0, 8.0])
    found.say(85.0, 118.0, "match", 9.0)
    found.end(120.0, 118.0)
    return found


def undisturbed() -> RecordedStream:
    """Anna alone, for a minute."""
    found = RecordedStream(stream="s-2")
    found.decide(2.7, "match", evidence=7.3)
    found.score(3, 60, [7.0, 8.0])
    found.say(1.0, 58.0, "match", 9.0)
    found.end(60.0, 57.0)
    return found


def seated(
    stream: RecordedStream, name: str, exam: str | None = None, candidate: str | None = None
) -> list[AnyEntry]:
    """The stream of somebody, or of a candidate, as it is stored: ``name`` is a reference."""
    started, *rest = (_of(entry, name) for entry in stream.entries)
    facts = tuple(msgspec.structs.replace(one, speaker=name) for one in started.voiceprints)
    changed = {"exam": exam, "candidate": candidate, "claims": (name,), "voiceprints": facts}
    return [msgspec.structs.replace(started, **changed), *rest]


def _of(entry: Any, name: str) -> Any:
    """The entry with another name for whom it speaks of."""
    if isinstance(entry, Told):
        return msgspec.structs.replace(entry, event=_of(entry.event, name))
    known = getattr(entry, "speaker", None) is not None
    return msgspec.structs.replace(entry, speaker=name) if known else entry
