"""What `voxwatch enroll` says while it listens."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import typer

REST_S = 1.0  # less than this of a recording unused is not worth a word


class EventPrinter:
    """Says how it goes: on stderr for people, as JSON lines for machines.

    Progress is for who watches: it is left out unless ``watched``, as where stderr is a file.
    """

    def __init__(self, as_json: bool, *, watched: bool) -> None:
        self._json, self._watched = as_json, watched
        self._number = self._percent = 0
        self._name, self._duration_s = "", 0.0

    def begin(self, source: Any) -> None:
        """What is told from here on is of this source."""
        self._number = 0
        path = getattr(source, "path", None)
        self._name = f"{path}: " if path else ""
        self._duration_s = getattr(source, "duration_s", None) or 0.0
        self._percent = 0

    def tell(self, event: Any) -> None:
        """One event of an enrolment."""
        from streamer.commands.event_lines import as_line, kind_of

        if self._json:
            numbered = isinstance(event.seq, int)  # by the server that heard it
            typer.echo(as_line(event, None if numbered else self._number))
            self._number += 1
            return
        kind = kind_of(event)
        if kind == "progress":
            self._show_progress(event)
        elif kind == "refused":
            typer.echo(f"refused: {self._name}{event.message} ({event.code})", err=True)
        elif kind == "enrolled" and event.t < self._duration_s - REST_S:
            used = f"{event.t:.0f} s of {self._duration_s:.0f} s were used, which is enough"
            typer.echo(f"{self._name}{used}", err=True)
        elif kind == "error":
            typer.echo(f"{event.message} ({event.code})", err=True)

    def _show_progress(self, event: Any) -> None:
        """A line for each tenth of what is needed."""
        if not self._watched or event.percent // 10 <= self._percent // 10:
            return
        self._percent = event.percent
        problems = f" ({', '.join(event.problems)})" if event.problems else ""
        typer.echo(f"{event.percent:3d} % of {event.needed_s:g} s{problems}", err=True)

    def done(
        self, name: str, prototypes: int, net_speech_s: float, like_voices: Sequence[str] = ()
    ) -> None:
        """The last word: all that is kept of the person, and who could be taken for them."""
        if self._json:
            stored = {"type": "stored", "name": name, "prototypes": prototypes}
            stored |= {"net_speech_s": net_speech_s, "like_voices": list(like_voices)}
            typer.echo(json.dumps(stored, ensure_ascii=False))
        else:
            for other in like_voices:
                typer.echo(
                    f"warning: {name} sounds like {other}, who is enrolled: either may pass for the"
                    " other, unless it is the same person twice",
                    err=True,
                )
            kept = "1 prototype" if prototypes == 1 else f"{prototypes} prototypes"
            typer.echo(f"{name} is enrolled: {kept} from {net_speech_s:.1f} s of speech")
