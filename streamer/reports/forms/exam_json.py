"""The JSON of an exam, written a candidate at a time."""

from __future__ import annotations

from typing import Any

import msgspec

from streamer.reports.exam_report import ExamCover, ExamProof, ExamReport
from streamer.reports.forms.files import json
from streamer.reports.report import Chain, Report
from streamer.reports.signing import Sign
from streamer.reports.spool import Out

# A quotation mark within a text has a backslash before it: nothing else can look like this.
NOBODY = b'"candidates": []'
UNKNOWN = ExamProof(register=Chain(count=0, head=""), verify=())  # comes after all candidates


class ExamJson:
    """Writes an :class:`ExamReport` byte for byte as if it were there as a whole."""

    def __init__(self, cover: ExamCover, out: Out, sign: Sign) -> None:
        self._cover, self._out, self._sign = msgspec.structs.asdict(cover), out, sign
        self._before = _around(ExamReport(**self._cover, proof=UNKNOWN))[0] + NOBODY[:-1] + b"\n  "
        self._digests: list[str] = []  # what was signed of the candidates' own reports

    def add(self, report: Report) -> bytes:
        """The next candidate, signed; their JSON, which is a file of its own, too."""
        content = json(report)
        self._out.write(b",\n  " if self._digests else self._before)
        self._out.write(content.replace(b"\n", b"\n  "))  # no text has a line's end in it
        self._digests.append(report.signed.digest if report.signed else "")
        return content

    def end(self, proof: ExamProof, register_problems: tuple[str, ...]) -> None:
        """What comes after all candidates."""
        whole = ExamReport(**self._cover, proof=proof, register_problems=register_problems)
        told: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(whole))
        told["candidates"] = [{"signed": {"digest": one}} for one in self._digests]
        before, after = _around(msgspec.structs.replace(whole, signed=self._sign(told)))
        self._out.write((b"\n ]" if self._digests else before + NOBODY) + after)


def _around(whole: ExamReport) -> tuple[bytes, bytes]:
    before, _, after = json(whole).partition(NOBODY)
    return before, after
