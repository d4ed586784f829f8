"""How a process that serves is set up."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable

from streamer.server.memory import keep_big_blocks_apart

YOUNG_OBJECTS = 20_000  # made before the collector looks: Python's 700 are a few messages


def spare_collector() -> None:
    """What lives as long as the server need not be looked through for garbage again and again."""
    keep_big_blocks_apart()
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, 20, 20)


def new_loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's event loop where there is one: it is not on Windows."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
