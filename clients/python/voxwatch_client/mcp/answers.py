"""What a language model is told about who speaks, and the schemas of it. Sans-IO.

A model acts on what it reads: each answer says how old it is, whether it may be out of date, and
that a voice is no proof. What cannot be known is said to be so, not left to an earlier answer.
"""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from voxwatch_client.messages import Mode
from voxwatch_client.verdicts import GateState, GateVerdict, WhenUnsure, verdict_of
from voxwatch_client.watching import Watch, WatchedStream

CAVEAT = (
    "A voice is corroboration, not authentication: a recording or an imitation of a person is not"
    " told from the person. Do nothing by it alone that could not be undone."
)
FRESH_S = 10.0  # an answer that rests on nothing later is out of date
LISTED = 50  # streams in one answer
REPEATED = 64  # characters of what was asked, at most

NAMED = Annotated[
    str | None, Meta(description="Label or id of the stream. Not needed while only one is open.")
]
STATE = Annotated[
    GateState,
    Meta(
        description="match: it is `speaker`. mismatch: it is not the person that the stream claims."
        " unknown: nobody enrolled. uncertain and insufficient: not decided (`reason`)."
        " unavailable: nothing can be known just now (`reason`)."
    ),
]
SPEAKER = Annotated[str | None, Meta(description="Whose voice it is, null unless it is a match.")]
EVIDENCE = Annotated[
    float | None,
    Meta(
        description="Log-likelihood ratio, natural: above 0 for the speaker. Null where there is"
        " none, or where the server's token does not show it."
    ),
]
AGE = Annotated[
    float | None,
    Meta(description="Seconds since the speech that this rests on; null where there was none."),
]


class Spoken(msgspec.Struct, frozen=True, kw_only=True):
    """Who speaks in one stream, or spoke last."""

    stream: str | None = None
    label: str = ""
    mode: Mode | None = None
    claims: tuple[str, ...] = ()
    state: STATE
    speaker: SPEAKER = None
    speaking: Annotated[bool, Meta(description="Whether anybody speaks just now.")] = False
    evidence: EVIDENCE = None
    age_s: AGE = None
    stale: Annotated[
        bool, Meta(description="It may be out of date: do not act on it as on the present.")
    ] = False
    reason: str = ""


class Answer(Spoken, frozen=True, kw_only=True):
    """Who speaks, and what to think of that."""

    connected: Annotated[bool, Meta(description="Whether the voxwatch server can be heard.")]
    caveat: str = CAVEAT


class Verification(Answer, frozen=True, kw_only=True):
    """Whether the last turn was spoken by ``name``."""

    name: str
    allowed: Annotated[
        bool,
        Meta(
            description="Whether a command said in that turn may be acted on. Where it cannot be"
            " decided this is the default that the operator has set, and `state` says so."
        ),
    ]


class Streams(msgspec.Struct, frozen=True, kw_only=True):
    """The streams that are open."""

    connected: bool
    reason: str = ""
    streams: tuple[Spoken, ...]
    more: Annotated[int, Meta(description="Streams that are open and not listed here.")] = 0
    caveat: str = CAVEAT


class Which(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The arguments of ``who_is_speaking``."""

    stream: NAMED = None


class Whether(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The arguments of ``verify_speaker``."""

    name: Annotated[str, Meta(description="The person who should have spoken, as enrolled.")]
    stream: NAMED = None
    within_s: Annotated[
        float, Meta(ge=1, le=600, description="How long ago the turn may have ended, in seconds.")
    ] = 30.0
    wait_s: Annotated[
        Annotated[float, Meta(ge=0, le=30)] | None,
        Meta(description="Seconds to wait for the end of a turn that goes on."),
    ] = None


class Some(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The arguments of ``list_streams``."""

    label: Annotated[str, Meta(description="Only streams whose label has this in it.")] = ""


def cut(text: str) -> str:
    """What was asked, as an answer repeats it: a model is not made to read a long mistake again."""
    return text if len(text) <= REPEATED else f"{text[:REPEATED]}..."


class NoSuchStream(ValueError):
    """There is no such stream, or it is not said which; the message says what to do."""


def schema(kind: type[msgspec.Struct]) -> dict[str, Any]:
    """JSON Schema of a record, whose root is an object and no reference."""
    _, parts = msgspec.json.schema_components([kind], ref_template="#/$defs/{name}")
    root = parts.pop(kind.__name__)
    return {**root, "$defs": parts} if parts else root


def who(watch: Watch, stream: WatchedStream | None) -> Answer:
    """Who speaks in a stream; None: there is none."""
    if stream is None:
        why = watch.lost or "no stream is open: nobody is listened to"
        return Answer(state="unavailable", stale=True, reason=why, connected=watch.connected)
    told = msgspec.structs.asdict(spoken(watch, stream))
    return Answer(**told, connected=watch.connected)


def spoken(watch: Watch, stream: WatchedStream) -> Spoken:
    """Who speaks in a stream or spoke last, as far as it is known now."""
    about: dict[str, Any] = {"stream": stream.id, "label": stream.label, "mode": stream.mode}
    about["claims"] = stream.claims
    now = watch.now()
    if watch.lost is not None:
        away_s = max(0.0, now - watch.lost_at)
        why = f"the voxwatch server has not been heard for {away_s:.0f} s: {watch.lost}"
        age_s = round(stream.age_s(now), 1)
        return Spoken(**about, state="unavailable", age_s=age_s, stale=True, reason=why)
    state, speaker, evidence, age, why = _known(stream, now)
    if stream.stalled:
        why = "no sound comes from this stream: who speaks now is not known"
    elif age is not None and age > FRESH_S:
        why = f"nobody has spoken for {age:.0f} s; before: {why or state}"
    stale = stream.stalled or age is None or age > FRESH_S
    return Spoken(
        **about,
        state=state,
        speaker=speaker if state == "match" else None,
        speaking=stream.speaking,
        evidence=evidence,
        age_s=None if age is None else round(age, 1),
        stale=stale,
        reason=why,
    )


Known = tuple[GateState, str | None, float | None, float | None, str]


def _known(stream: WatchedStream, now: float) -> Known:
    """State, speaker, evidence, age and reason: of the turn that goes on, or of the last one."""
    last = stream.last
    if not stream.speaking and last is not None:
        speaker = last.speaker if last.state == "match" else None
        age_s = stream.turn_age_s(last, now)
        return last.state, speaker, last.evidence, age_s, _sentence(last.reason, last.advice)
    if stream.state is None:
        age = 0.0 if stream.speaking else None
        return "insufficient", None, None, age, "too little speech so far to be judged"
    why = _sentence(stream.reason, stream.advice)
    live = stream.turns.live
    state: GateState = stream.state
    if stream.speaking and live is None:
        state, why = "insufficient", "somebody has just begun to speak and is not judged yet"
    elif state == "match" and live is not None and stream.turns.state_of(live) == "mismatch":
        state, why = "uncertain", "what was said last does not sound like the speaker before"
    return state, stream.speaker, stream.evidence, stream.age_s(now), why


def _sentence(reason: str, advice: str) -> str:
    return "; ".join(part for part in (reason, advice) if part)


async def verify(
    watch: Watch, stream: WatchedStream | None, asked: Whether, wait_s: float, unsure: WhenUnsure
) -> Verification:
    """Whether the last turn was that person's; a turn that goes on is waited for."""
    about = who(watch, stream)
    if stream is None or watch.lost is not None:
        found = GateVerdict.of_state("unavailable", unsure, reason=about.reason)
    else:
        found = await _last_turn(watch, stream, asked, wait_s, unsure)
    turn = found.turns[-1] if stream and found.turns else None
    told = {
        **msgspec.structs.asdict(about),
        "connected": watch.connected,
        "state": found.state,
        "speaker": found.speaker,
        "reason": found.reason,
        "evidence": turn and (turn.llr if turn.evidence is None else turn.evidence),
        "age_s": round(stream.turn_age_s(turn, watch.now()), 1) if stream and turn else None,
        "stale": turn is None,
    }
    return Verification(**told, name=asked.name, allowed=found.allowed)


async def _last_turn(
    watch: Watch, stream: WatchedStream, asked: Whether, wait_s: float, unsure: WhenUnsure
) -> GateVerdict:
    if stream.claims and asked.name not in stream.claims:
        why = (
            f"this stream listens for {' and '.join(stream.claims)}, and not for {cut(asked.name)}"
        )
        return GateVerdict.of_state("unavailable", unsure, reason=why)
    before, until_s = stream.last, stream.turns.known_s
    try:
        async with asyncio.timeout(wait_s):
            while (gone := _gone(watch, stream)) is None:
                waiting = stream.speaking or stream.turns.on(0.0, until_s) is None
                if stream.last is not before or not waiting:
                    break
                await watch.news()
    except TimeoutError:
        gone = f"the turn has gone on for more than {wait_s:g} s: ask again when it has ended"
    if gone is not None:
        return GateVerdict.of_state("unavailable", unsure, reason=gone)
    last = stream.last
    if last is None or stream.turn_age_s(last, watch.now()) > asked.within_s:
        why = f"nobody has spoken in the last {asked.within_s:g} s"
        return GateVerdict.of_state("insufficient", unsure, reason=why)
    found = verdict_of([last], unsure)
    if found.state == "match" and found.speaker != asked.name:
        why = f"the last turn was spoken by {found.speaker}"
        return GateVerdict.of_state("mismatch", unsure, reason=why, turns=(last,))
    return found


def _gone(watch: Watch, stream: WatchedStream) -> str | None:
    """Why nothing more will be told of a stream, if that is so."""
    known = watch.streams.get(stream.id) is stream
    return watch.lost or (None if known else "the stream has ended")


def listed(watch: Watch, wanted: str = "") -> Streams:
    """The streams that are open, the first of them; ``wanted`` is a part of their labels."""
    found = [one for one in watch.streams.values() if wanted.lower() in one.label.lower()]
    return Streams(
        connected=watch.connected,
        reason=watch.lost or "",
        streams=tuple(spoken(watch, stream) for stream in found[:LISTED]),
        more=max(0, len(found) - LISTED),
    )


def chosen(watch: Watch, named: str | None) -> WatchedStream | None:
    """The stream that is meant, None where none is open. Raises :class:`NoSuchStream`."""
    found = list(watch.streams.values()) if named is None else watch.find(named)
    if len(found) == 1:
        return found[0]
    if not watch.streams or watch.lost is not None:
        return None
    shown = found or list(watch.streams.values())
    names = ", ".join(f"{one.label or 'without label'} ({one.id})" for one in shown[:LISTED])
    what = "several streams are open" if found else f"no stream {cut(named or '')!r} is open"
    raise NoSuchStream(f"{what}: name one by its label or id: {names}")
