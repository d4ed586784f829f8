"""Of which kinds of incidents a platform is told."""

from __future__ import annotations

from streamer.lti.control import SEVERITY
from streamer.records.incidents.ledger import KINDS, OTHERS


def test_those_kinds_are_flagged_that_say_that_somebody_else_spoke() -> None:
    assert set(SEVERITY) == OTHERS


def test_a_severity_is_a_share_as_the_service_wants_it() -> None:
    assert all(0 < float(told) <= 1 for told in SEVERITY.values())


def test_what_is_graver_for_the_wall_is_so_for_a_platform() -> None:
    voices = [kind for kind in KINDS if kind in SEVERITY]
    told = [float(SEVERITY[kind]) for kind in voices]
    assert told == sorted(told, reverse=True)
