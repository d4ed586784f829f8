"""`voxwatch exam show`: an exam in words where somebody reads it, else as JSON."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer

from streamer.commands.exam import ExamArgument, end_of
from streamer.commands.opened import opened_exams
from streamer.commands.options import ConfigOption, DataOption, JsonOption, configured
from streamer.commands.profiles import table, when

if TYPE_CHECKING:
    from streamer.exams.exam import Candidate, Exam, Rules

HEAD = ("candidate", "name", "voiceprint", "link", "enrolled", "sound clips", "accommodations")


@dataclass(frozen=True, kw_only=True)
class ShowCommand:
    """Show an exam: its rules, who sits it, has opened their link and is enrolled.

    A table in words on a terminal; JSON when it is piped, or with --json.

    \b
    Examples:
      voxwatch exam show 1a2b3c4d
      voxwatch exam show 1a2b3c4d | jq .roster
    """

    exam: ExamArgument
    config: ConfigOption = None
    data_dir: DataOption = None
    as_json: JsonOption = False

    def run(self) -> None:
        """Print it."""
        import msgspec

        with opened_exams(configured(self)) as (exams, store):
            exam, roster = exams.exam(self.exam), exams.roster(self.exam)
            enrolled = {profile.name for profile in store.profiles(store.now())}
            agreed = exams.consents.allowing_clips()
        if self.as_json or not sys.stdout.isatty():
            typer.echo(msgspec.json.encode({"exam": exam, "roster": roster}).decode())
            return
        typer.echo(in_words(exam, roster, enrolled, agreed))


def in_words(
    exam: Exam, roster: Sequence[Candidate], enrolled: Collection[str], agreed: Collection[str]
) -> str:
    """An exam as it is read.

    ``enrolled`` are names of voiceprints, ``agreed`` the ids of those who agreed to clips.
    """
    lines = [
        f"{exam.name} ({exam.id})",
        f"{when(exam.starts_at)} to {when(exam.ends_at)}, {end_of(exam)}",
        *_rules(exam.rules),
        "",
    ]
    if not roster:
        return "\n".join([*lines, f"nobody is on it: voxwatch exam roster {exam.id} FILE.csv"])
    rows = [HEAD, *(_row(one, enrolled, agreed) for one in roster)]
    there = sum(one.voiceprint in enrolled for one in roster)
    opened = sum(one.opened_at is not None for one in roster)
    counts = f"{there} enrolled, {opened} opened their link"
    return "\n".join([*lines, table(rows), "", f"{_people(len(roster))}, {counts}"])


def _people(count: int) -> str:
    return "1 candidate" if count == 1 else f"{count} candidates"


def _rules(rules: Rules) -> Iterator[str]:
    yield f"told: another voice for {rules.incident_s:g} s of speech"
    yield f"told: {rules.undecided_s:g} s of speech without a decision"
    silence = f"told: {rules.silent_s:g} s without speech"
    yield silence if rules.speaking else "silence is not told: candidates write"
    yield "who is not enrolled " + ("enrols by their link" if rules.enrol else "is not taken")
    if rules.false_accept is not None:
        yield f"tolerated: {100 * rules.false_accept:.3g} % wrong matches"
    if rules.miss is not None:
        yield f"tolerated: {100 * rules.miss:.3g} % right speakers who are not matched"


def _row(one: Candidate, enrolled: Collection[str], agreed: Collection[str]) -> tuple[str, ...]:
    there = "yes" if one.voiceprint in enrolled else "no"
    if one.withdrawn_at is not None:
        there = f"no: consent taken back {when(one.withdrawn_at)}"
    link = "not opened" if one.opened_at is None else f"opened {when(one.opened_at)}"
    if one.opened_at is None and one.link_expires_at is not None:
        link += f", holds until {when(one.link_expires_at)}"
    clips = "agreed" if one.id in agreed else ""
    if one.clips_refused_at is not None:
        clips = f"refused {when(one.clips_refused_at)}"
    allowed = ", ".join(one.accommodations)
    return one.candidate, one.shown, one.voiceprint, link, there, clips, allowed
