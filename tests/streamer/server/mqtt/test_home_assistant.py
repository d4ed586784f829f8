"""Discovery over a real broker, by a real Home Assistant where there is one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiomqtt import Client
from mqtt_broker import WAIT_S, Broker, needs_broker
from peer_environments import ROOT, environment

from streamer.config import Config, Mqtt
from streamer.server.hub import Hub
from streamer.server.mqtt import home_assistant as home_assistant_module
from streamer.server.mqtt.former import FormerDevices
from streamer.server.server import Server
from streamer.server.workers.peers import Peers
from streamer.wire import messages

PEER = ROOT / "tests" / "support" / "home_assistant_peer.py"
START_S = 120.0
OWN = "homeassistant/device/voxwatch_vw_test"


class Retained:
    """What a broker keeps and hands on, by topic, as it comes."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.last: dict[str, Any] = {}
        self.turns: list[Any] = []

    async def hear(self) -> str:
        """The topic of the next message."""
        async with asyncio.timeout(WAIT_S):
            message = await anext(self.client.messages)
        topic, payload = message.topic.value, bytes(message.payload)
        told = None if not payload else payload.decode()
        if told and told.startswith("{"):
            told = json.loads(told)
        self.last[topic] = told
        if topic.endswith("/event"):
            self.turns.append(told)
        return topic

    async def until(self, wanted: Callable[[], Any]) -> Any:
        while not (found := wanted()):
            await self.hear()
        return found

    def state(self, name: str) -> Any:
        return self.last.get(f"vw/test/{name}/state") or {}


@asynccontextmanager
async def subscribed(broker: Broker) -> AsyncIterator[Retained]:
    async with Client("127.0.0.1", broker.port) as client:
        await client.subscribe("#", qos=1)
        yield Retained(client)


@pytest.fixture
def shown(broker: Broker, settings: Callable[..., Config]) -> Callable[..., Server]:
    """A server that tells Home Assistant of its streams."""

    def make(**changes: Any) -> Server:
        mqtt = msgspec.structs.replace(broker.settings, discovery="homeassistant")
        return Server(settings(mqtt=mqtt, **changes), drain_s=1.0)

    return make


@needs_broker
@pytest.mark.parametrize("scores", [True, False])
async def test_a_stream_is_followed_from_its_start_to_its_end(
    broker: Broker, shown: Any, dial: Any, enrol: Any, pcm: Any, scores: bool
) -> None:
    await broker.start()
    async with subscribed(broker) as heard:
        async with shown(scores=scores) as server:
            enrol(server, "anna")
            await heard.until(lambda: f"{OWN}/config" in heard.last)
            async with dial(server, claim="anna", label="Kitchen", false_accept=0.05) as client:
                await client.sound(pcm("anna", 4.0))
                told = await heard.until(lambda: heard.state("kitchen").get("speaker"))
                assert told == "anna"
                about = heard.state("kitchen")["about"]
                assert (about["evidence"] is not None) == scores
                await client.say(type="finalize")
                await client.rest()
            await heard.until(lambda: heard.state("kitchen").get("open") is False)
            (turn,) = heard.turns
            assert (turn["event_type"], turn["speaker"]) == ("match", "anna")
            assert (turn["evidence"] is not None) == scores
            assert bool(turn["reason"]) == scores
        await heard.until(lambda: heard.last.get("vw/test/status") == "offline")
    assert f"{OWN}-kitchen/config" in heard.last


@needs_broker
async def test_a_stream_that_is_open_when_the_server_stops_is_closed_before_it_is_offline(
    broker: Broker, shown: Any, dial: Any, enrol: Any, pcm: Any
) -> None:
    await broker.start()
    async with subscribed(broker) as heard, AsyncExitStack() as clients:
        async with shown() as server:
            enrol(server, "anna")
            calling = dial(server, claim="anna", label="Kitchen")
            client = await clients.enter_async_context(calling)
            await client.sound(pcm("anna", 4.0))
            await heard.until(lambda: heard.state("kitchen").get("speaker"))
        await heard.until(lambda: heard.last.get("vw/test/status") == "offline")
        assert heard.state("kitchen")["open"] is False
        assert heard.state("kitchen")["speaker"] is None


@pytest.mark.parametrize("discovery", [True, False])
async def test_whoever_ends_as_the_broker_answers_ends(discovery: bool) -> None:
    """The broker's answer and the end come at the same moment, in which an end may be swallowed."""
    answered = asyncio.Event()

    class Answering:
        async def subscribe(self, topic: str, qos: int) -> None:
            """Subscribed at once."""

        async def publish(self, *_: Any, **__: Any) -> None:
            await asyncio.wait_for(answered.wait(), WAIT_S)

    mqtt = Mqtt(host="localhost", discovery="homeassistant")
    home = home_assistant_module.HomeAssistant(mqtt, Hub(), Peers(), figures=True)
    former = FormerDevices("voxwatch")
    former._found.put_nowait("homeassistant/device/voxwatch/config")
    publishing = asyncio.create_task((home if discovery else former).publish(Answering()))
    await asyncio.sleep(0.05)
    answered.set()
    await asyncio.sleep(0)
    publishing.cancel()
    done, _ = await asyncio.wait([publishing], timeout=WAIT_S)
    assert done == {publishing}


@needs_broker
async def test_a_person_who_is_deleted_is_no_longer_named_in_what_is_retained(
    broker: Broker, shown: Any, dial: Any, enrol: Any, pcm: Any
) -> None:
    await broker.start()
    async with subscribed(broker) as heard, shown() as server:
        enrol(server, "anna")
        async with dial(server, label="Kitchen") as client, dial(server, "/v1/control") as desk:
            await client.sound(pcm("anna", 4.0))
            await heard.until(lambda: heard.state("kitchen").get("speaker") == "anna")
            await desk.ask(type="delete", name="anna")
            await client.sound(bytes(3200))
            await heard.until(lambda: heard.state("kitchen").get("speaker") is None)


@needs_broker
async def test_a_home_assistant_that_starts_is_told_everything_again(
    broker: Broker, shown: Any, dial: Any
) -> None:
    await broker.start()
    async with shown() as server, dial(server, label="Kitchen"), subscribed(broker) as heard:
        await heard.until(lambda: heard.state("kitchen").get("open"))
        heard.last.clear()
        await heard.client.publish("homeassistant/status", "online")
        both = {f"{OWN}/config", f"{OWN}-kitchen/config"}
        await heard.until(lambda: both | {"vw/test/kitchen/state"} <= heard.last.keys())


@needs_broker
async def test_a_broker_that_forgot_everything_is_told_again(
    broker: Broker, shown: Any, dial: Any
) -> None:
    await broker.start()
    async with shown() as server, dial(server, label="Kitchen"):
        async with subscribed(broker) as heard:
            await heard.until(lambda: heard.state("kitchen").get("open"))
        broker.stop()
        await broker.start()
        async with subscribed(broker) as heard:
            await heard.until(lambda: heard.state("kitchen").get("open"))
            assert f"{OWN}-kitchen/config" in heard.last


@needs_broker
async def test_what_an_earlier_run_left_is_closed_and_stays_a_device(
    broker: Broker, shown: Any
) -> None:
    await broker.start()
    left = {"label": "Kitchen", "open": True, "at": 4e9, "speaker": "anna"}
    async with subscribed(broker) as heard:
        await heard.client.publish("vw/test/kitchen/state", json.dumps(left), retain=True)
        async with shown():
            await heard.until(lambda: heard.state("kitchen").get("open") is False)
            assert heard.state("kitchen")["speaker"] is None
            await heard.until(lambda: f"{OWN}-kitchen/config" in heard.last)


@needs_broker
@pytest.mark.parametrize("prefix", ["homeassistant", "my/home"])
async def test_discovery_that_is_turned_off_takes_back_its_devices_and_states(
    broker: Broker, settings: Callable[..., Config], dial: Any, prefix: str
) -> None:
    def server(discovery: str | None) -> Server:
        mqtt = msgspec.structs.replace(broker.settings, discovery=discovery)
        return Server(settings(mqtt=mqtt), drain_s=1.0)

    await broker.start()
    device = f"{prefix}/device/voxwatch_vw_test"
    ours = {f"{device}/config", f"{device}-kitchen/config", "vw/test/kitchen/state"}
    others = {  # devices of another program, of a server with topics that look alike, a state
        "homeassistant/device/voxwatch_vw_testbed/config": {"components": {}},
        "homeassistant/device/voxwatch_vw_test-hall/config": {
            "components": {"speaker": {"state_topic": "vw-test/hall/state"}}
        },
        "homeassistant/device/voxwatch_vw_test-attic/config": ["no", "device"],
        "homeassistant/device/voxwatch_vw_test-porch/config": {"components": {}},
        "vw/test/lamp/state": {"on": True},
    }
    async with subscribed(broker) as heard:
        for topic, told in others.items():
            await heard.client.publish(topic, json.dumps(told), retain=True)
        async with server(prefix) as running, dial(running, label="Kitchen"):
            await heard.until(lambda: ours <= heard.last.keys())
        await heard.until(lambda: heard.last.get("vw/test/status") == "offline")
        async with server(None):
            await heard.until(lambda: not any(heard.last[topic] for topic in ours))
    async with subscribed(broker) as heard:
        await heard.client.publish("the/end", "said")
        while await heard.hear() != "the/end":
            pass
    assert heard.last.keys() - {"the/end"} == {*others, "vw/test/status"}


def test_a_stream_of_another_worker_is_shown_as_it_stands() -> None:
    mqtt = Mqtt(host="localhost", discovery="homeassistant")
    home = home_assistant_module.HomeAssistant(mqtt, Hub(), Peers(), figures=True)
    home._begin(
        messages.StreamState(
            stream="s1",
            label="Kitchen",
            mode="identify",
            claims=(),
            bounds=messages.Bounds(false_accept=0.01, miss=0.05, accept_llr=4.6, reject_llr=-3.0),
            expected_rates=(),
            model=messages.Model(name="m", version="1", sha256="0", provider="cpu"),
            state="match",
            speaker="anna",
            since=1.0,
            speaking=True,
            stalled=False,
            speech_s=2.0,
            window_s=3.0,
            hop_s=0.5,
            decide_s=1.0,
            received_s=3.0,
            opened_at=0.0,
        )
    )
    told = {}
    while (due := home._devices.due) is not None:
        told[due.topic] = json.loads(due.payload)
        home._devices.done(due)
    assert told["voxwatch/kitchen/state"]["speaker"] == "anna"
    assert told["voxwatch/kitchen/state"]["speech"]


class HomeAssistant:
    """Home Assistant's core beside, by what its program prints."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.states: dict[str, Any] = {}
        self.devices: dict[str, Any] = {}

    async def hear(self, within_s: float = WAIT_S) -> Any:
        assert self._process.stdout
        async with asyncio.timeout(within_s):
            line = await self._process.stdout.readline()
        assert line, "Home Assistant has ended"
        told = json.loads(line) if line.startswith(b"{") else {}
        if "entity" in told:
            self.states[told["entity"]] = told
        elif "device" in told:
            self.devices[told["device"]] = told
        return told

    async def until(self, entity: str, state: str | None) -> Any:
        """The attributes of an entity once it has that state."""
        while (now := self.states.get(entity)) is None or now["state"] != state:
            await self.hear()
        return now["attributes"]

    async def say(self, line: str) -> None:
        assert self._process.stdin
        self._process.stdin.write(f"{line}\n".encode())
        await self._process.stdin.drain()


@asynccontextmanager
async def home_assistant(broker: Broker, folder: Path) -> AsyncIterator[HomeAssistant]:
    python = environment("home-assistant")
    folder.mkdir(exist_ok=True)
    with (folder / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            str(python),
            str(PEER),
            str(broker.port),
            str(folder),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
        )
    try:
        home = HomeAssistant(process)
        while "started" not in await home.hear(START_S):
            pass
        yield home
        await home.say("stop")
        await asyncio.wait_for(process.wait(), START_S)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@needs_broker
@pytest.mark.slow
async def test_home_assistant_itself_makes_devices_and_entities_of_it(
    broker: Broker, shown: Any, dial: Any, enrol: Any, pcm: Any, tmp_path: Path
) -> None:
    """Home Assistant's core and its own MQTT integration, set up as its page does it."""
    environment("home-assistant")
    await broker.start()
    async with home_assistant(broker, tmp_path / "home") as home:
        async with shown() as server:
            enrol(server, "anna")
            await home.until("binary_sensor.voxwatch_vw_test_connected", "on")
            async with dial(server, claim="anna", label="Küche") as client:
                await home.until("sensor.kuche_decision", "unknown")
                await client.sound(pcm("anna", 4.0))
                about = await home.until("sensor.kuche_speaker", "anna")
                assert about["evidence"] > 0
                decision = await home.until("sensor.kuche_decision", "match")
                assert set(decision["options"]) == {
                    *("insufficient", "match", "mismatch", "uncertain", "stranger")
                }
                await home.until("binary_sensor.kuche_verified", "on")
                sound = await home.until("binary_sensor.kuche_speech", "on")
                assert sound["device_class"] == "sound"
                await client.sound(pcm("bert", 6.0))
                await home.until("sensor.kuche_decision", "mismatch")
                await home.until("sensor.kuche_speaker", "unknown")
                await home.until("binary_sensor.kuche_verified", "off")
                await client.say(type="finalize")
                await client.rest()
            assert home.devices["Küche"]["via"] == "voxwatch vw/test"
            await home.until("sensor.kuche_speaker", "unavailable")
            turn = home.states["event.kuche_utterance"]
            assert turn["attributes"]["event_type"] in turn["attributes"]["event_types"]
            assert turn["state"] not in ("unknown", "unavailable")
            await home.say("delete Küche")
            await home.until("sensor.kuche_speaker", None)
            async with dial(server, label="Küche"):
                await home.until("sensor.kuche_decision", "unknown")
        await home.until("binary_sensor.voxwatch_vw_test_connected", "off")
        await home.until("event.kuche_utterance", "unavailable")
    log = (tmp_path / "home" / "log").read_text().splitlines()
    # Home Assistant empties the topic once for each of the entities that it deletes.
    odd = [line for line in log if "voxwatch" in line and "No device components" not in line]
    assert odd == []  # nothing of it was refused or wondered at
