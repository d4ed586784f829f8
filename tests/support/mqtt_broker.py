"""A real MQTT broker on a free port."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from aiomqtt import Client
from ports import free_port

from streamer.config import Mqtt

MOSQUITTO = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
WAIT_S = 20.0
needs_broker = pytest.mark.skipif(MOSQUITTO is None, reason="no MQTT broker (mosquitto) here")


class Broker:
    """A mosquitto on a free port, which can be stopped and started again."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._config = folder / "mosquitto.conf"
        self._config.write_text(f"listener {self.port} 127.0.0.1\nallow_anonymous true\n")
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        assert MOSQUITTO
        self._process = subprocess.Popen(
            [MOSQUITTO, "-c", str(self._config)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        async with asyncio.timeout(WAIT_S):
            while True:
                with suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                    writer.close()
                    await writer.wait_closed()
                    return
                await asyncio.sleep(0.05)

    def stop(self) -> None:
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None

    @property
    def settings(self) -> Mqtt:
        return Mqtt(host="127.0.0.1", port=self.port, topic="vw/test")

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[Callable[[], Any]]:
        """Subscribed to everything; yields what waits for the next message."""
        async with Client("127.0.0.1", self.port) as client:
            await client.subscribe("vw/test/#", qos=1)
            messages = client.messages

            async def following() -> tuple[str, Any]:
                async with asyncio.timeout(WAIT_S):
                    message = await anext(messages)
                payload = bytes(message.payload).decode()
                topic = message.topic.value.removeprefix("vw/test/")
                return topic, payload if topic == "status" else json.loads(payload)

            yield following
