"""An enrolment on a server, by somebody who has agreed to its text."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import typer

from streamer.commands.enrolment_sound import feed, hold_open, is_live, tell_all

if TYPE_CHECKING:
    from streamer.commands.enrolment_sound import Printer, Source


async def enrol_there(
    server: str,
    name: str,
    sources: Sequence[Source],
    printer: Printer,
    *,
    consent: bool,
    kept_days: float | None,
    add: bool,
    access: Mapping[str, Any],
) -> bool:
    """Into the store of a server, each source a prototype; whether it was.

    ``consent``: it was given already; otherwise it is asked for.
    """
    from streamer.tasks import beside
    from voxwatch_client import control, enroll
    from voxwatch_client.messages import EnrolledAs

    async with control(server, **access) as client:
        text = (await client.request("status"))["consent"]
    if not agreed(consent, text["text"], _kept(text, kept_days)):
        return False
    last = None
    for number, source in enumerate(sources):
        printer.begin(source)
        async with (
            hold_open(source),
            enroll(
                server,
                name,
                consent=text["text_version"],
                ttl_days=kept_days,
                add=add or number > 0,
                encoding=source.format.encoding,
                sample_rate=source.format.sample_rate,
                live=is_live(source),
                **access,
            ) as opened,
        ):
            feeding = feed(source, opened.send, opened.finalize, printer)
            last = await beside(tell_all(opened, printer), feeding)
        if not isinstance(last, EnrolledAs):
            if number:
                typer.echo(f"the {number} before it: enrolled", err=True)
            return False
    assert isinstance(last, EnrolledAs)  # there is at least one source
    printer.done(name, last.prototypes, last.net_speech_s, last.like_voices)
    return True


def _kept(text: Mapping[str, Any], kept_days: float | None) -> list[tuple[str, str]]:
    """What is kept and for how long, which an older server does not say."""
    kept = [(what, how_long) for what, how_long in text.get("kept", ())]
    if kept_days is not None:
        kept.append(("By --ttl-days the voiceprint is kept for at most", f"{kept_days:g} days"))
    return kept


def agreed(consent: bool, text: str, kept: Sequence[tuple[str, str]]) -> bool:
    """Whether the person agrees to ``text``, and to how long what is ``kept``.

    Raises where nobody can be asked.
    """
    if consent:
        return True
    if not sys.stdin.isatty():
        from engine.errors import VoxwatchError

        raise VoxwatchError("nobody can be asked for consent here: --consent says it was given")
    typer.echo(f"{text}\n", err=True)
    for what, how_long in kept:
        typer.echo(f"{what}: {how_long}", err=True)
    return typer.confirm("Do you agree?", err=True)
