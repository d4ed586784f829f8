"""A property: what is told live, whenever one looks, is what the record tells afterwards."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from recorded_stream import NOON, RecordedStream, taken_over

from engine import events
from streamer.records.entries import Acted, AnyEntry, Connection, Scores, Waited
from streamer.records.incidents.tracker import IncidentTracker, incidents_of
from streamer.records.rules import IncidentRules
from streamer.wire.incidents import Incident

UNTOLD = ("t",)  # when something was noticed; of that the property says nothing

STATES: tuple[events.State, ...] = ("match", "mismatch", "uncertain", "insufficient", "unknown")


def a_stream(seed: int) -> list[AnyEntry]:
    """A stream of anything that may happen, in the order in which it was recorded."""
    rng, t = random.Random(seed), 1.0
    rules = IncidentRules(silent_s=30.0, undecided_s=8.0, noisy_s=4.0)
    stream = RecordedStream(rules=rules)
    for _ in range(rng.randrange(10, 80)):
        t = round(t + rng.choice([0.5, 1.0, 2.0, 40.0]), 3)
        _something(rng, stream, t)
    if rng.random() < 0.5:
        stream.end(t + 1, t)
    return stream.entries


def _something(rng: random.Random, stream: RecordedStream, t: float) -> None:
    match rng.randrange(10):
        case 0:
            stream.decide(t, rng.choice(STATES), since=t - 0.5, evidence=rng.uniform(-9, 9))
        case 1:
            stream.take_over(t - 1.5, t)
        case 2:
            stream.say(max(t - 3, 0), t - 0.6, rng.choice(STATES), rng.uniform(-9, 9))
        case 3:
            stream.overlap(t - 2, t - 0.5 - rng.random())
        case 4:
            stream.hear(t, *rng.sample(["noisy", "repeated", "rate-suspect"], rng.randrange(3)))
        case 5:
            stream.be_silent(t)
        case 6:
            stream.lose(t, rng.uniform(0, 50))
        case 7:
            stream.tell(events.Stalled(t=t, stalled=rng.random() < 0.5, gap_s=3.0))
        case _:
            stream.score(t, t + rng.randrange(1, 9), [rng.uniform(-9, 9)])


def told_live(entries: Sequence[AnyEntry], rng: random.Random) -> tuple[list[Any], list[AnyEntry]]:
    """What a desk knew at the end, and the record that is left, with what it did."""
    tracker, desk, record = IncidentTracker(), dict[str, Incident](), list[AnyEntry]()
    at = NOON

    def tell(found: list[Incident]) -> None:
        for one in found:
            assert one != desk.get(one.id)
            desk[one.id] = one

    def wait_until(at: float) -> None:
        waited = Waited(at=at - rng.choice([0.0, 0.0, 3.0]), t=0.0)  # sound of so long waits
        if found := tracker.pass_time(waited.at):
            tell(found)
            record.append(waited)

    def acknowledge(at: float) -> None:
        name = rng.choice(list(desk))
        acted = Acted(at=at, t=0.0, who="desk", act="acknowledge", incident=name)
        tell(tracker.receive(acted))
        # It may be written before what had come to the server already.
        record.insert(rng.randrange(max(len(record) - 3, 1), len(record) + 1), acted)

    for entry in entries:
        while at < entry.at and rng.random() < 0.3:
            at = rng.uniform(at, entry.at)
            wait_until(at)
            if desk and rng.random() < 0.3:
                acknowledge(at)
        at = max(at, entry.at)
        tell(tracker.receive(entry))
        record.append(entry)
    for _ in range(rng.randrange(3)):  # it waits on, and may be killed in that
        at += rng.uniform(1.0, 40.0)
        wait_until(at)
    if desk and rng.random() < 0.5:  # days later, where the server may have been killed before
        name, at = rng.choice(list(desk)), at + 86_400.0
        record.append(Acted(at=at, t=0.0, who="late", act="acknowledge", incident=name))
        desk[name] = _acknowledged(desk[name], at)
    return [_timeless(one) for one in desk.values()], record


def _acknowledged(one: Incident, at: float) -> Incident:
    known = one.acknowledged_at is not None
    return one if known else replace(one, acknowledged_by="late", acknowledged_at=at)


def _timeless(one: Incident) -> dict[str, Any]:
    names = [name for name in one.__struct_fields__ if name not in UNTOLD]
    return {name: getattr(one, name) for name in names}


@settings(max_examples=300)
@given(st.integers(0, 2**32))
def test_the_record_gives_the_incidents_that_were_told_live(seed: int) -> None:
    desk, record = told_live(a_stream(seed), random.Random(seed + 1))
    afterwards = [_timeless(one) for one in incidents_of(record)]
    assert sorted(desk, key=lambda one: one["id"]) == sorted(afterwards, key=lambda one: one["id"])


@settings(max_examples=100)
@given(st.integers(0, 2**32))
def test_every_incident_is_a_span_with_a_reason(seed: int) -> None:
    for one in incidents_of(a_stream(seed)):
        assert one.reason
        assert re.search(r"\d", one.reason) or one.kind == "tampering"
        if one.until is not None:
            assert one.until >= one.since
            assert one.until_at is not None
            assert one.until_at >= one.since_at


def test_drops_and_scores_are_entries_of_the_record() -> None:
    entries = taken_over().entries
    assert any(isinstance(one, Connection) for one in entries)
    assert any(isinstance(one, Scores) for one in entries)
