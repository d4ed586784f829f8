"""Says in the log which tokens expire soon, or have, so that others are made before."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import NoReturn

from streamer.server.auth import Auth

DAY_S = 86400.0

log = logging.getLogger("voxwatch.server")


async def warn_of_tokens(auth: Auth) -> NoReturn:
    """At once, and then once a day."""
    while True:
        now = time.time()
        for token in auth.due(now):
            log.warning("%s: `voxwatch token new` makes another", token.end(now))
        await asyncio.sleep(DAY_S)
