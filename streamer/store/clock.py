"""Whether the clock can be believed: what is deleted by it cannot be brought back.

The time of day is compared with a clock that nobody sets, the time since the machine was started.
Where the two go apart by more than a few minutes the time of day was set. Until it has gone on
steadily for a day, the store goes by the time that it knew and what has passed since: nobody's
voiceprint is deleted, or hidden, or given another end, by one wrong setting of a clock. Between
two starts of the machine time may pass unseen: back is never believed at once, forward is for
as long as a machine may lie switched off.
"""

from __future__ import annotations

import contextlib
import secrets
import time
from pathlib import Path
from typing import NamedTuple

import msgspec

STEP_S = 300.0  # more than a clock drifts or a time server corrects; less than matters here
OFF_S = 30 * 86400.0  # a machine may be switched off for so long
BELIEVED_S = 86400.0  # a clock that was set is believed when it has gone on for so long
NOTED_S = 3600.0  # between two notes of the time, each of which is a write
# Where the system does not name its start, each process has one of its own.
_PROCESS = secrets.token_hex(8)


class Reading(NamedTuple):
    """Two clocks at one moment: the time of day in seconds since 1970, and since the start."""

    wall_s: float
    start: str
    steady_s: float


class Witness(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of the time: the last reading believed, and one that is not yet.

    ``doubted_since_s`` is the time of day at which the clock that is doubted began to go steadily.
    """

    believed: Reading
    doubted: Reading | None = None
    doubted_since_s: float = 0.0


def read() -> Reading:
    """Both clocks now."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        start = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        steady_s = float(Path("/proc/uptime").read_text().split()[0])
        return Reading(time.time(), start, steady_s)
    return Reading(time.time(), _PROCESS, time.monotonic())


def judge(witness: Witness | None, reading: Reading) -> tuple[float, Witness]:
    """The time that is believed, in seconds since 1970, and what is known from now on."""
    if witness is None or _follows(witness.believed, reading):
        return reading.wall_s, Witness(believed=reading)
    since_s = witness.doubted_since_s
    if witness.doubted is None or not _follows(witness.doubted, reading):
        since_s = reading.wall_s
    if reading.wall_s - since_s >= BELIEVED_S:
        return reading.wall_s, Witness(believed=reading)
    known_s = _carried_on(witness.believed, reading)
    return known_s, Witness(believed=witness.believed, doubted=reading, doubted_since_s=since_s)


def _follows(earlier: Reading, later: Reading) -> bool:
    passed_s = later.wall_s - earlier.wall_s
    if earlier.start == later.start:
        return abs(passed_s - (later.steady_s - earlier.steady_s)) <= STEP_S
    return -STEP_S <= passed_s <= OFF_S


def _carried_on(earlier: Reading, later: Reading) -> float:
    """The time that was believed, and what has surely passed since."""
    began_s = earlier.steady_s if earlier.start == later.start else 0.0
    return earlier.wall_s + max(0.0, later.steady_s - began_s)
