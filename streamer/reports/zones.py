"""Time zones by name, and that of this machine."""

from __future__ import annotations

import os
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo

from engine.errors import VoxwatchError

LOCALTIME = Path("/etc/localtime")
LONGEST = 64  # characters of a name


class UnknownZone(VoxwatchError):
    """A time zone that nobody here knows."""


def zone_named(name: str) -> tzinfo:
    """The zone of that name, such as ``Europe/Berlin``. Raises :class:`UnknownZone`."""
    try:
        if len(name) <= LONGEST:
            return UTC if name == "UTC" else ZoneInfo(name)
    except (ValueError, OSError):  # what is no name at all, and a name without a file
        pass
    except KeyError:  # ZoneInfoNotFoundError
        pass
    raise UnknownZone(f"there is no time zone {name[:LONGEST]!r}: say it like Europe/Berlin or UTC")


def local_zone() -> tzinfo:
    """That of this machine: by name where it has one, or else by its offset today."""
    for name in (os.environ.get("TZ", "").removeprefix(":"), _linked()):
        try:
            if name:
                return zone_named(name)
        except UnknownZone:
            continue
    found = datetime.now().astimezone().tzinfo
    return UTC if found is None else found


def _linked() -> str:
    try:
        target = str(LOCALTIME.resolve(strict=True))
    except OSError:
        return ""
    return target.partition("zoneinfo/")[2]


def shown(zone: tzinfo) -> str:
    """Its name, for people."""
    return getattr(zone, "key", None) or str(zone)
