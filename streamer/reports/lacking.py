"""From entries to how poor the sound was, and to what is lacking in it and in the record."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from engine import events
from streamer.records.entries import AnyEntry, Connection, Missing, Suspended, Told
from streamer.records.lateness import LEAST_S
from streamer.reports import words
from streamer.reports.clock import Clock
from streamer.reports.report import Gap, GapKind, SoundProblem

PERIOD_S = 2.0  # that a quality event is about, where none came before it
NOTICED_S = 0.1  # A connection that was away for less was noticed to be lost when it was back.
NEAR_S = 5.0  # of media: windows that fail within it are one gap
SILENCE = "no-speech"  # is not poor sound: who is silent is no problem of the microphone


def sound_problems(entries: Iterable[AnyEntry], clock: Clock) -> tuple[SoundProblem, ...]:
    """Stretches of the same problems."""
    found: list[SoundProblem] = []
    last_t = 0.0
    for event in (e.event for e in entries if isinstance(e, Told)):
        if not isinstance(event, events.Quality):
            continue
        since = max(last_t, event.t - PERIOD_S)
        last_t = event.t
        problems = tuple(problem for problem in event.problems if problem != SILENCE)
        if not problems:
            continue
        before = found[-1] if found else None
        if before and before.problems == problems and before.until == since:
            _, until_at = clock.span(before.since, event.t)
            found[-1] = msgspec.structs.replace(before, until=event.t, until_at=until_at)
            continue
        since_at, until_at = clock.span(since, event.t)
        found.append(
            SoundProblem(
                since=since,
                until=event.t,
                since_at=since_at,
                until_at=until_at,
                problems=problems,
                level_dbfs=event.level_dbfs,
                snr_db=event.snr_db,
            )
        )
    return tuple(found)


def gaps(entries: Sequence[AnyEntry], clock: Clock) -> tuple[Gap, ...]:
    """What is lacking, by the clock."""
    found = [
        *_without_sound(entries, clock),
        *_disconnected(entries, clock),
        *_not_running(entries, clock),
        *_late(entries, clock),
        *_not_scored(entries, clock),
        *_not_recorded(entries, clock),
    ]
    return tuple(sorted(found, key=lambda gap: gap.since_at))


def _gap(
    kind: GapKind,
    clock: Clock,
    media: tuple[float, float | None],
    at: tuple[float, float | None],
    detail: str,
    count: int | None = None,
) -> Gap:
    until = at[1]
    return Gap(
        kind=kind,
        since=media[0],
        until=media[1],
        since_at=clock.of(at[0]),
        until_at=None if until is None else clock.of(until),
        detail=detail,
        count=count,
    )


def _without_sound(entries: Iterable[AnyEntry], clock: Clock) -> Iterator[Gap]:
    began: tuple[float, float] | None = None  # media time, time of day
    for entry in entries:
        if not (isinstance(entry, Told) and isinstance(entry.event, events.Stalled)):
            continue
        if entry.event.stalled:
            began = began or (entry.t, entry.at - entry.event.gap_s)
            continue
        gap_s, late_s = entry.event.gap_s, entry.event.late_s
        media_t, at = began or (entry.t, entry.at - gap_s)
        began = None
        detail = f"for {words.duration(entry.at - at)}"
        if late_s >= LEAST_S:
            detail += f"; the last {words.duration(late_s)} of what was said meanwhile came then"
        yield _gap("no-sound", clock, (media_t, entry.t), (at, entry.at), detail)
    if began is not None:
        yield _gap("no-sound", clock, (began[0], None), (began[1], None), "until the end")


def _disconnected(entries: Iterable[AnyEntry], clock: Clock) -> Iterator[Gap]:
    dropped: Connection | None = None
    for entry in entries:
        if not isinstance(entry, Connection):
            continue
        if entry.state == "dropped":
            dropped = dropped or entry
        elif dropped is not None:
            lost_s = entry.at - dropped.at
            how = f"for {words.duration(lost_s)}" if lost_s >= NOTICED_S else "told by its return"
            detail = f"{how}{_because(dropped)}"
            media, at = (dropped.t, entry.t), (dropped.at, entry.at)
            yield _gap("disconnected", clock, media, at, detail)
            dropped = None
    if dropped is not None:
        detail = f"and did not come back{_because(dropped)}"
        yield _gap("disconnected", clock, (dropped.t, None), (dropped.at, None), detail)


def _not_running(entries: Iterable[AnyEntry], clock: Clock) -> Iterator[Gap]:
    for entry in entries:
        if isinstance(entry, Suspended):
            jump = words.duration(entry.until - entry.since)
            detail = f"by {jump}: it did not run, as a laptop that sleeps, or was put forward"
            at = (entry.since, entry.until)
            yield _gap("not-running", clock, (entry.t, entry.t), at, detail)


def _because(entry: Connection) -> str:
    return f" ({entry.why})" if entry.why else ""


LAGS = {
    "overload": "the server was late",
    "slow-consumer": "the client read too slowly",
    "input-overflow": "the microphone's sound was not fetched in time",
}


def _late(entries: Iterable[AnyEntry], clock: Clock) -> Iterator[Gap]:
    """One for each outage, from the first lag until it is said that there is none any more.

    Records of before have no notice of the end: how long such an outage lasted is not known.
    """
    begun: dict[str, tuple[Told, events.Lag]] = {}  # by reason
    for entry in entries:
        if not (isinstance(entry, Told) and isinstance(lag := entry.event, events.Lag)):
            continue
        first = begun.pop(lag.reason, None)
        over = lag.behind_s <= 0 and not lag.dropped
        if first is not None:
            yield _outage(*first, entry if over else None, clock)
        if not over:
            begun[lag.reason] = entry, lag
    for first in begun.values():
        yield _outage(*first, None, clock)


def _outage(first: Told, lag: events.Lag, end: Told | None, clock: Clock) -> Gap:
    detail = LAGS.get(lag.reason, lag.reason)
    detail += f", by {words.duration(lag.behind_s)} at first" if lag.behind_s > 0 else ""
    detail += f", {words.counted(lag.dropped, 'score')} left out" if lag.dropped else ""
    detail += "" if end is not None else "; until when is not in the record"
    last = first if end is None else end
    media, at = (first.t, last.t), (first.at, last.at)
    kind: GapKind = "scores-left-out" if lag.dropped else "late"
    return _gap(kind, clock, media, at, detail, lag.dropped or None)


def _not_scored(entries: Iterable[AnyEntry], clock: Clock) -> Iterator[Gap]:
    run: list[Told] = []
    for entry in entries:
        if not (isinstance(entry, Told) and isinstance(entry.event, events.Failure)):
            continue
        if entry.event.code != "window-failed":
            continue
        if run and entry.t - run[-1].t > NEAR_S:
            yield _failed(run, clock)
            run = []
        run.append(entry)
    if run:
        yield _failed(run, clock)


def _failed(run: Sequence[Told], clock: Clock) -> Gap:
    media, at = (run[0].t, run[-1].t), (run[0].at, run[-1].at)
    return _gap("not-scored", clock, media, at, words.counted(len(run), "window"), len(run))


def _not_recorded(entries: Iterable[AnyEntry], clock: Clock) -> Iterator[Gap]:
    for entry in entries:
        if isinstance(entry, Missing):
            said = "entry" if entry.count == 1 else "entries"
            detail = f"{entry.count} {said} could not be written: {entry.why}"
            at = (entry.since, entry.until)
            yield _gap("not-recorded", clock, (entry.t, entry.t), at, detail, entry.count)
