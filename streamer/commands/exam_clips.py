"""`voxwatch exam withdraw-clips`: somebody takes back that sound is kept, and that alone."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Annotated

import typer

from streamer.commands.exam import ExamArgument
from streamer.commands.opened import opened_records
from streamer.commands.options import ConfigOption, DataOption, configured


@dataclass(frozen=True, kw_only=True)
class WithdrawClipsCommand:
    """Delete the sound that is kept of a candidate, and keep none from now on.

    For a candidate who takes back that alone: they are compared as before, and their exam goes on.
    They can do it themselves on their page. It stands in their consent.

    \b
    Example:
      voxwatch exam withdraw-clips 1a2b3c4d 4711
    """

    exam: ExamArgument
    candidate: Annotated[str, typer.Argument(metavar="CANDIDATE", help="As `exam show` says.")]
    config: ConfigOption = None
    data_dir: DataOption = None

    def run(self) -> None:
        """First so that none is written any more, then what there is."""
        from streamer.store.audit import local_user

        now = round(time.time(), 3)
        with opened_records(configured(self)) as (_, exams, book):
            candidate = exams.candidate(self.exam, self.candidate)
            exams.consents.withdraw_clips(candidate.id, now)
            exams.note_clips(candidate, now)
            streams = book.silence([candidate.id], local_user(), now)
        said = f"of {len(streams)} streams sound was deleted" if streams else "there was no sound"
        typer.echo(f"{candidate.shown}: {said}; none is kept from now on")
