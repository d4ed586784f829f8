"""What Open edX and LTI platforms have told of a candidate, and were told: it blocks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from sqlalchemy import Engine, inspect

from streamer.edx.book import EdxBook
from streamer.edx.tables import ATTEMPTS as OF_EDX
from streamer.lti.book import LtiBook
from streamer.lti.tables import ATTEMPTS as OF_LTI
from streamer.records.signing import Secret


def attempts_of(candidate: str, engine: Engine, secret: Secret) -> Iterator[dict[str, Any]]:
    """Attempts of a line of a roster, where there ever were some of such a platform."""
    there = inspect(engine)
    if there.has_table(OF_EDX.name):
        for one in EdxBook(engine).of(candidate):
            yield {"platform": "Open edX"} | msgspec.to_builtins(one)
    if there.has_table(OF_LTI.name):
        for attempt in LtiBook(engine, secret).of(candidate):
            yield {"platform": "LTI"} | msgspec.to_builtins(attempt)
