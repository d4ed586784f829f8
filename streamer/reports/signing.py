"""Signs what a report says, and finds which lines of one are not those that were signed.

What is signed are the lines of the report as JSON, each as it is printed, without the signature. In
the report of an exam, what was signed of each candidate stands in place of theirs. Short digests of
the lines are kept beside the signature, by which those are found that were altered.
"""

from __future__ import annotations

import base64
import difflib
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from streamer.records.signing import Secret, is_signed_text
from streamer.reports.parts import Part
from streamer.reports.report import Signed
from streamer.reports.words import counted

P = TypeVar("P", bound=Part)
Sign = Callable[[Mapping[str, Any]], Signed]  # what a report says, as JSON has it
MOST_LINES = 100  # that are told of one report
MOST_COMPARED = 2000  # lines between the first and the last that differ
SHORT_BYTES = 3  # of a line's digest; all of them together are held to the whole one
UNSIGNED = (
    "it is not signed: an earlier version made it, or somebody took that away. Nobody can tell"
    " whether it says what it said"
)
OTHER = "its signature is not of this record: it was altered, or is of another record"
SOMETHING = "it does not say what was signed"


def signed(told: Mapping[str, Any], secret: Secret) -> Signed:
    """The signature of a report by the record that it tells of."""
    lines = _lines(told)
    digest = hashlib.sha256(b"\n".join(lines)).hexdigest()
    short = base64.b64encode(b"".join(map(_short, lines))).decode()
    text = _text(digest, short)
    key = secret.public_key
    return Signed(digest=digest, lines=short, signature=secret.sign_text(text), key=key)


def with_signature(report: P, sign: Sign) -> P:
    """A report that says by whom it was made, so that anybody may have it checked."""
    told = msgspec.json.decode(msgspec.json.encode(report))
    return msgspec.structs.replace(report, signed=sign(told))


def altered(told: Mapping[str, Any], key: str) -> Iterator[str]:
    """What is wrong with a report that is to be of the record with this key; nothing: it is whole.

    Raises :class:`msgspec.MsgspecError` where its signature has not the form of one.
    """
    if told.get("signed") is None:
        yield UNSIGNED
        return
    stated = msgspec.convert(told["signed"], Signed)
    lines = _lines(told)
    if hashlib.sha256(b"\n".join(lines)).hexdigest() != stated.digest:
        found = _differences(lines, base64.b64decode(stated.lines))
        yield next(found, SOMETHING)
        yield from found
    text = _text(stated.digest, stated.lines)
    if stated.key != key or not is_signed_text(text, stated.signature, key):
        yield OTHER


def _text(digest: str, lines: str) -> str:
    return f"voxwatch report {digest} {lines}"


def _lines(told: Mapping[str, Any]) -> list[bytes]:
    content = {name: value for name, value in told.items() if name != "signed"}
    if "candidates" in content:
        content["candidates"] = [_digest(one) for one in content["candidates"]]
    printed = msgspec.json.format(msgspec.json.encode(content), indent=1)
    return [line.removesuffix(b",") for line in printed.split(b"\n")]


def _digest(candidate: Mapping[str, Any]) -> str:
    """What was signed of a candidate's own report; it is looked at by itself."""
    stated = candidate.get("signed")
    return str(stated.get("digest")) if isinstance(stated, dict) else ""


def _short(line: bytes) -> bytes:
    return hashlib.sha256(line).digest()[:SHORT_BYTES]


def _differences(lines: Sequence[bytes], kept: bytes) -> Iterator[str]:
    """Each line that is not one of those signed, and where some are missing."""
    before = [kept[at : at + SHORT_BYTES] for at in range(0, len(kept), SHORT_BYTES)]
    now = [_short(line) for line in lines]
    told = 0
    for first, last, start, end in _unequal(before, now):
        for number in range(start, end):
            if (told := told + 1) > MOST_LINES:
                yield "further lines are not what was signed"
                return
            yield f"{_place(lines, number)} is not what was signed"
        if (missing := (last - first) - (end - start)) > 0:
            after = _place(lines, min(end, len(lines) - 1))
            yield f"{counted(missing, 'line')} taken away before {after}"


def _unequal(before: Sequence[bytes], now: Sequence[bytes]) -> Iterator[tuple[int, int, int, int]]:
    """From where to where they differ, in the one and in the other.

    What is alike at both ends is taken off, for the time of a comparison grows with the square of
    the length; what is then longer than ``MOST_COMPARED`` is told as one difference.
    """
    same = 0
    shorter = min(len(before), len(now))
    while same < shorter and before[same] == now[same]:
        same += 1
    rest = 0
    while rest < shorter - same and before[-1 - rest] == now[-1 - rest]:
        rest += 1
    old, new = before[same : len(before) - rest], now[same : len(now) - rest]
    if max(len(old), len(new)) > MOST_COMPARED:
        yield same, len(before) - rest, same, len(now) - rest
        return
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    for what, first, last, start, end in matcher.get_opcodes():
        if what != "equal":
            yield same + first, same + last, same + start, same + end


def _place(lines: Sequence[bytes], number: int) -> str:
    """A line as it stands there, with the names of what it is in."""
    within, depth = [], _depth(lines[number])
    for line in reversed(lines[:number]):
        if _depth(line) < depth:
            depth = _depth(line)
            within += [line.split(b'"')[1].decode()] if b'"' in line else []
    text = lines[number].strip().decode()
    return f"{', '.join(reversed(within))}: {text}" if within else text


def _depth(line: bytes) -> int:
    return len(line) - len(line.lstrip(b" "))
