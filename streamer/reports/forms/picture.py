"""The timeline of a session as inline SVG: states, evidence, incidents, sound and gaps.

A long session is broken into strips of one scale, one below the other. What is coloured has a
pattern or a word as well, so that it can be read in grey. Looks are attributes of the elements and
not in the style sheet, which WeasyPrint does not apply to a picture.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from streamer.reports import words
from streamer.reports.claims import Claim
from streamer.reports.clock import Clock
from streamer.reports.forms.looks import (
    COLOURS,
    FONT,
    GROUND,
    INK,
    LACKING,
    PATTERNS,
    POOR,
    SOFT,
    TRACE,
    WEIGHTS,
    box,
    line,
    mark,
    text,
    weight,
)
from streamer.reports.forms.markup import Markup, element
from streamer.reports.parts import Span
from streamer.reports.report import Incident, Point, Session

WIDE, NARROW = 800, 340  # px
GUTTER_PX = {WIDE: 58.0, NARROW: 0.0}  # beside the plot, for what its bounds mean
STRIP_S = {WIDE: 3600.0, NARROW: 1200.0}  # of sound in a strip at most
OVER = 0.1  # of a strip, by which it may be longer rather than begin another one
STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800)
TICK_PX = 80.0  # between ticks, at least
CHARACTER_PX = 6.2  # of a label at 11 px
LEAST_PX = 2.0  # of a span, however short

MARK_Y, SPAN_Y, STATE_Y, TRACE_Y = 24.0, 30.0, 38.0, 68.0
STATE_PX, TRACE_PX = 24.0, 64.0
SOUND_Y = TRACE_Y + TRACE_PX + 6.0
AXIS_Y = SOUND_Y + 10.0
STRIP_PX = AXIS_Y + 32.0


@dataclass(frozen=True, slots=True)
class Scale:
    """A strip: media time from ``since`` on, ``length_s`` of it over ``width`` px of its own.

    ``gutter`` px are beside it.
    """

    since: float
    length_s: float
    width: float
    gutter: float

    def x(self, t: float) -> float:
        """Where a media time lies, within the strip."""
        return round(min(max((t - self.since) / self.length_s, 0.0), 1.0) * self.width, 1)

    def holds(self, since: float, until: float) -> bool:
        """Whether some of a span lies in this strip."""
        return until >= self.since and since < self.since + self.length_s


def timeline(session: Session, width: int, number: int) -> Markup:
    """The picture in ``WIDE`` or ``NARROW``; ``number`` tells the pictures of a page apart."""
    total = max(session.received_s, 1.0)
    count = max(1, math.ceil(total / STRIP_S[width] - OVER))
    gutter, length_s = GUTTER_PX[width], total / count
    scales = [Scale(at * length_s, length_s, width - gutter, gutter) for at in range(count)]
    strips = [
        element("g", _strip(session, scale, number, total), transform=f"translate(0 {y:g})")
        for scale, y in ((scale, row * STRIP_PX) for row, scale in enumerate(scales))
    ]
    height = STRIP_PX * len(scales)
    return element(
        "svg",
        element("title", _described(session)),
        _patterns(number),
        strips,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {width} {height:g}",
        width=width,
        height=f"{height:g}",
        role="img",
        font_family=FONT,
        font_size=11,
        class_="picture wide" if width == WIDE else "picture narrow",
    )


def _described(session: Session) -> str:
    """The picture in a sentence, for who cannot see it."""
    found = words.counted(len(session.incidents), "incident")
    length = words.duration(session.received_s)
    return f"Timeline of {length} of sound with {found}; the tables say all of it"


def _patterns(number: int) -> Markup:
    """Hatching for what must not be told by colour alone."""
    stripe = element(
        "path", d="M-2,2 L2,-2 M0,8 L8,0 M6,10 L10,6", stroke="#7d1d14", stroke_width="1.6"
    )
    dots = element("circle", cx="3", cy="3", r="1.1", fill=INK, fill_opacity="0.45")
    kinds = (("bad", stripe, 8), ("doubt", dots, 6))
    return element(
        "defs",
        [
            element(
                "pattern",
                mark,
                id=f"{kind}-{number}",
                width=size,
                height=size,
                patternUnits="userSpaceOnUse",
            )
            for kind, mark, size in kinds
        ],
    )


def _strip(session: Session, scale: Scale, number: int, total: float) -> Iterator[Markup]:
    end = scale.x(total)
    yield box(0, STATE_Y, end, STATE_PX, GROUND)
    yield from _states(session, scale, number, total)
    yield box(0, TRACE_Y, end, TRACE_PX, GROUND)
    yield from _trace(session, scale, total)
    yield from _sound(session, scale, total)
    yield from _incidents(session.incidents, scale, total)
    yield from _claims(session.claims, scale)
    yield from _axis(_clock(session), scale, total)


def _states(session: Session, scale: Scale, number: int, total: float) -> Iterator[Markup]:
    for segment in session.segments:
        until = _until(segment, total)
        if not scale.holds(segment.since, until):
            continue
        left, right = scale.x(segment.since), scale.x(until)
        colour, ink = COLOURS.get(segment.state, (GROUND, INK))
        yield box(left, STATE_Y, right - left, STATE_PX, colour)
        if segment.state in PATTERNS:
            fill = f"url(#{PATTERNS[segment.state]}-{number})"
            yield box(left, STATE_Y, right - left, STATE_PX, fill)
        label = _fitting(right - left, _labels(segment.state, segment.speaker))
        if label:
            under = len(label) * CHARACTER_PX + 8
            yield box(left + 1, STATE_Y + 4, under, STATE_PX - 8, colour)
            yield text(label, left + 5, STATE_Y + 16, fill=ink, font_weight="bold")


def _labels(state: str, speaker: str | None) -> tuple[str, ...]:
    """What a band may say, the longest first."""
    return (words.state(state, speaker), words.state(state, None))


def _fitting(width: float, labels: Sequence[str]) -> str:
    return next((one for one in labels if len(one) * CHARACTER_PX + 10 <= width), "")


def _trace(session: Session, scale: Scale, total: float) -> Iterator[Markup]:
    """The evidence of each second, and the bounds that held."""
    points = [p for p in session.evidence if scale.holds(p.t, p.t)]
    most = _reach(session)
    middle = TRACE_Y + TRACE_PX / 2

    def y(evidence: float) -> float:
        return round(middle - min(max(evidence / most, -1.0), 1.0) * (TRACE_PX / 2 - 3), 1)

    yield line((0, scale.x(total)), (middle, middle), stroke="#c3c9d4")
    for run in _runs(points):
        steps = " ".join(f"{scale.x(p.t)},{y(p.evidence)}" for p in _thinned(run, scale))
        yield element("polyline", points=steps, stroke_linejoin="round", **TRACE)
    shown = [c for c in session.claims if c.bounds and scale.holds(c.since, _until(c, total))]
    for claim in shown:
        ends = scale.x(claim.since), scale.x(_until(claim, total))
        last = claim is shown[-1] and scale.gutter > 0
        assert claim.bounds is not None
        for value, said in (
            (claim.bounds.accept_llr, "match"),
            (claim.bounds.reject_llr, "mismatch"),
        ):
            yield line(ends, (y(value), y(value)), stroke=SOFT, stroke_dasharray="4 3")
            if last:
                yield text(said, scale.width + 5, y(value) + 3.5, fill=SOFT, font_size="10")


def _reach(session: Session) -> float:
    """The evidence at the edge of the plot: what lies beyond is drawn there."""
    bounds = [c.bounds for c in session.claims if c.bounds is not None]
    return 2.5 * max((max(b.accept_llr, -b.reject_llr) for b in bounds), default=5.0)


def _runs(points: Sequence[Point]) -> Iterator[list[Point]]:
    """Points in a row: over a pause of some seconds no line is drawn."""
    run: list[Point] = []
    for point in points:
        if run and point.t - run[-1].t > 5.0:
            yield run
            run = []
        run.append(point)
    if run:
        yield run


def _thinned(run: Sequence[Point], scale: Scale) -> Iterator[Point]:
    """The lowest and the highest of what falls on one column of the picture."""
    columns: dict[int, list[Point]] = {}
    for point in run:
        columns.setdefault(int(scale.x(point.t)), []).append(point)
    for column in columns.values():
        ends = {min(column, key=_evidence), max(column, key=_evidence)}
        yield from sorted(ends, key=lambda point: point.t)


def _evidence(point: Point) -> float:
    return point.evidence


def _sound(session: Session, scale: Scale, total: float) -> Iterator[Markup]:
    for colour, spans in (
        (POOR, session.sound),
        (LACKING, [gap for gap in session.gaps if gap.lacks]),
    ):
        for one in spans:
            if scale.holds(one.since, _until(one, total)):
                left = scale.x(one.since)
                width = max(scale.x(_until(one, total)) - left, LEAST_PX)
                yield box(left, SOUND_Y, width, 6, colour)


def _until(span: Span, total: float) -> float:
    return total if span.until is None else span.until


def _incidents(found: Sequence[Incident], scale: Scale, total: float) -> Iterator[Markup]:
    """A bar for each, and a mark with its number; numbers that would collide are left out."""
    free = 0.0
    for number, one in enumerate(found, 1):
        if not scale.holds(one.since, _until(one, total)):
            continue
        left = scale.x(one.since)
        width = max(scale.x(_until(one, total)) - left, LEAST_PX)
        yield box(left, SPAN_Y, width, 5, WEIGHTS[weight(one)])
        if one.since < scale.since or left < free:
            continue
        centre = min(max(left, 8.0), scale.width - 8.0)
        yield mark(one.kind, weight(one), f"translate({centre:g} {MARK_Y - 7:g})")
        side = 10 if centre < scale.width - 30 else -10
        anchor = "start" if side > 0 else "end"
        place = {"fill": INK, "font_weight": "bold", "text_anchor": anchor}
        yield text(str(number), centre + side, MARK_Y - 3, **place)
        free = centre + 18 + len(str(number)) * CHARACTER_PX


def _claims(claims: Sequence[Claim], scale: Scale) -> Iterator[Markup]:
    """A line where another claim began."""
    for claim in claims[1:]:
        if scale.holds(claim.since, claim.since):
            x = scale.x(claim.since)
            yield line((x, x), (STATE_Y - 3, SOUND_Y + 6), stroke=INK, stroke_dasharray="2 2")


def _clock(session: Session) -> Clock:
    """By all that the report has both times of."""
    spans: list[Span] = [*session.segments, *session.turns, *session.incidents]
    moments = [(span.since, span.since_at.timestamp()) for span in spans]
    ends = [(0.0, session.began_at), (session.received_s, session.ended_at)]
    moments += [(t, at.timestamp()) for t, at in ends if at is not None]
    zone = session.began_at.tzinfo
    assert zone is not None
    return Clock(moments, zone)


def _axis(clock: Clock, scale: Scale, total: float) -> Iterator[Markup]:
    step = next((s for s in STEPS_S if s / scale.length_s * scale.width >= TICK_PX), STEPS_S[-1])
    first = -int(-scale.since // step)
    last = min(scale.since + scale.length_s, total)
    yield line((0, scale.x(last)), (AXIS_Y, AXIS_Y), stroke="#8b94a3")
    for number in range(first, int(last // step) + 1):
        t = float(number * step)
        x = scale.x(t)
        anchor = (
            "start" if x < TICK_PX / 2 else "end" if x > scale.width - TICK_PX / 2 else "middle"
        )
        yield line((x, x), (AXIS_Y, AXIS_Y + 4), stroke="#8b94a3")
        for label, y, colour in (
            (words.clock(t), 16, INK),
            (words.time_of_day(clock.at(t)), 28, SOFT),
        ):
            yield text(label, x, AXIS_Y + y, fill=colour, text_anchor=anchor)
