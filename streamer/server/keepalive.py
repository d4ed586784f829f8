"""When a client that says nothing is pinged, and when it is given up."""

from __future__ import annotations

import asyncio

from websockets.asyncio.server import ServerConnection
from websockets.protocol import OPEN


class PingedConnection(ServerConnection):
    """A connection that is cut off when nobody is there any more."""

    heard_at: float  # when something came last, by the loop's clock
    stopped: bool  # nothing is read from the client, for flow control

    async def keepalive(self) -> None:
        """Find out when nobody is there any more: cut off a client that a ping does not stir.

        Whatever comes in is a sign of life, so a client that sends costs no pings; and one
        that we do not read from, for flow control, is not taken for dead.
        """
        assert self.ping_interval is not None
        assert self.ping_timeout is not None
        while True:
            # From the last sign of life on, so that a proxy never sees a longer silence than that.
            wait_s = self.heard_at + self.ping_interval - self.loop.time()
            if self.state is not OPEN:
                wait_s = self.ping_interval
            if wait_s > 0:
                await asyncio.sleep(wait_s)
                continue
            asked_at = self.loop.time()
            self.protocol.send_ping(b"")
            self.send_data()
            await asyncio.sleep(self.ping_timeout)
            if self.heard_at < asked_at and not self.stopped:
                self.transport.abort()
