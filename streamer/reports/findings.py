"""What a check of the record found, as far as a report tells it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from streamer.exams.exam import Candidate
from streamer.records.chain import REGISTER, Head
from streamer.records.verification import Verification
from streamer.reports.report import Chain, Session


def chain_of(head: Head, checked: Verification, *chains: str) -> Chain:
    """A head, with what was found of these chains."""
    problems = tuple(str(found) for found in checked.findings if found.chain in chains)
    return Chain(
        count=head.count,
        head=head.hash,
        signature=head.signature,
        key=head.key,
        heads=head.heads,
        problems=problems,
    )


def of_removed(
    checked: Verification, candidate: Candidate | None, told: Sequence[Session]
) -> Iterator[str]:
    """What was found of streams that were removed, where they were or may be the candidate's.

    A register of before does not say whose a stream was: all candidates are told of it then. A
    register that was changed itself is told by each session, or here where there is none.
    """
    if candidate is None:
        return
    for found in checked.findings:
        if found.chain == REGISTER:
            if not told:
                yield str(found)
        elif found.removed and found.candidate in ("", candidate.id):
            whose = "" if found.candidate else " (whose it was is not known)"
            yield f"{found}{whose}"


def without_report(checked: Verification, reported: set[str]) -> list[str]:
    """What was found in the register, and of streams that are not there to be reported on."""
    return [str(found) for found in checked.findings if found.chain not in reported]
