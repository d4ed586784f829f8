"""The JSON of an exam, written a candidate at a time."""

from __future__ import annotations

import msgspec

from streamer.reports.exam_report import ExamCover, ExamProof, ExamReport
from streamer.reports.forms.files import json
from streamer.reports.report import Chain
from streamer.reports.spool import Out

# A quotation mark within a text has a backslash before it: nothing else can look like this.
NOBODY = b'"candidates": []'
UNKNOWN = ExamProof(register=Chain(count=0, head=""), verify=())  # comes after all candidates


class ExamJson:
    """Writes an :class:`ExamReport` byte for byte as if it were there as a whole."""

    def __init__(self, cover: ExamCover, out: Out) -> None:
        self._cover, self._out = msgspec.structs.asdict(cover), out
        self._before = self._around(UNKNOWN)[0] + NOBODY[:-1] + b"\n  "
        self._count = 0

    def add(self, report: bytes) -> None:
        """The next candidate, as :func:`json` wrote them."""
        self._out.write(b",\n  " if self._count else self._before)
        self._out.write(report.replace(b"\n", b"\n  "))  # no text has a line's end in it
        self._count += 1

    def end(self, proof: ExamProof, register_problems: tuple[str, ...]) -> None:
        """What comes after all candidates."""
        before, after = self._around(proof, register_problems)
        self._out.write((b"\n ]" if self._count else before + NOBODY) + after)

    def _around(
        self, proof: ExamProof, register_problems: tuple[str, ...] = ()
    ) -> tuple[bytes, bytes]:
        whole = json(ExamReport(**self._cover, proof=proof, register_problems=register_problems))
        before, _, after = whole.partition(NOBODY)
        return before, after
