"""Publishing to a real broker: topics, availability, a broker that comes late or goes away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiomqtt import Client, MqttError
from mqtt_broker import WAIT_S, Broker, needs_broker
from ports import free_port

from engine import events
from engine.errors import VoxwatchError
from streamer.config import Config, Mqtt
from streamer.server.hub import Hub, Subscription
from streamer.server.mqtt import beginning
from streamer.server.mqtt import publisher as mqtt
from streamer.server.mqtt.publisher import Publisher
from streamer.server.outbox import Message
from streamer.server.server import Server
from streamer.wire.incidents import Acted, Incident


@asynccontextmanager
async def running(publisher: Publisher) -> AsyncIterator[None]:
    task = asyncio.create_task(publisher.run())
    try:
        yield
    finally:
        publisher.stop()
        await asyncio.wait_for(task, WAIT_S)


def decision(t: float) -> Message:
    return Message(
        events.Decision(
            t=t, state="match", speaker="anna", since=t, llr=5.0, net_speech_s=t, reason="because"
        )
    )


def score(t: float) -> Message:
    figures = {"cosine": 0.5, "norm": 1.0, "llr": 2.0, "posterior": 0.9}
    return Message(
        events.Score(t=t, speaker="anna", runner_up=None, net_speech_s=t, window_s=3.0, **figures)
    )


@needs_broker
async def test_decisions_have_their_topic_and_scores_only_on_request(broker: Broker) -> None:
    await broker.start()
    hub = Hub()
    async with broker.listening() as following:
        async with running(Publisher(broker.settings, hub)):
            assert await following() == ("status", "online")
            hub.publish("s1", score(1))
            hub.publish("s1", decision(2))
            topic, payload = await following()
            assert topic == "s1/decision"
            assert (payload["stream"], payload["state"], payload["t"]) == ("s1", "match", 2)
        assert await following() == ("status", "offline")
        with_scores = Mqtt(host="127.0.0.1", port=broker.port, topic="vw/test", scores=True)
        async with running(Publisher(with_scores, hub)):
            assert await following() == ("status", "online")
            hub.publish("s1", score(3))
            assert (await following())[0] == "s1/score"


@needs_broker
async def test_a_broker_that_comes_late_or_goes_away_is_found_again(broker: Broker) -> None:
    hub = Hub()
    async with running(Publisher(broker.settings, hub)):
        await asyncio.sleep(0.1)  # one attempt fails
        for t in (1, 3):  # published while the broker is not there, and while it is
            hub.publish("s1", decision(t))
            await broker.start()
            async with broker.listening() as following:
                while await following() != ("status", "online"):
                    pass
                hub.publish("s1", decision(t + 1))
                while (found := await following())[0] == "status" or found[1]["t"] != t + 1:
                    pass
            broker.stop()
            await asyncio.sleep(0.1)


async def test_a_broker_that_is_not_there_is_named_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mqtt, "FIRST_PAUSE_S", 0.02)
    nobody = Mqtt(host="127.0.0.1", port=1, topic="vw/test")
    with caplog.at_level("DEBUG", logger=mqtt.log.name):
        async with running(Publisher(nobody, Hub())):
            async with asyncio.timeout(10):
                while len(told := [r for r in caplog.records if "not there" in r.message]) < 3:
                    await asyncio.sleep(0.02)
    assert all("the MQTT broker at 127.0.0.1:1 is not there" in r.message for r in told)
    assert [r.levelname for r in told][:3] == ["WARNING", "DEBUG", "DEBUG"]


@needs_broker
async def test_incidents_and_what_is_done_about_them_are_published(broker: Broker) -> None:
    await broker.start()
    hub = Hub()
    incident = Incident(
        t=9.0, id="s1/1", kind="takeover", since=7.0, since_at=1e9, reason="so", severity=9
    )
    act = Acted(t=9.0, at=1e9, who="desk", act="acknowledge", incident="s1/1")
    async with broker.listening() as following, running(Publisher(broker.settings, hub)):
        assert await following() == ("status", "online")
        hub.publish("s1", Message(incident))
        hub.publish("s1", Message(act))
        topic, told = await following()
        assert (topic, told["id"], told["severity"]) == ("s1/incident", "s1/1", 9)
        topic, told = await following()
        assert (topic, told["act"], told["incident"]) == ("s1/act", "acknowledge", "s1/1")


@needs_broker
async def test_without_figures_the_broker_gets_none(broker: Broker) -> None:
    await broker.start()
    hub = Hub()
    asked_for = Mqtt(host="127.0.0.1", port=broker.port, topic="vw/test", scores=True)
    publisher = Publisher(asked_for, hub, figures=False)
    async with broker.listening() as following, running(publisher):
        assert await following() == ("status", "online")
        hub.publish("s1", score(1))
        hub.publish("s1", decision(2))
        topic, payload = await following()
        assert topic == "s1/decision"
        assert (payload["state"], payload["llr"], payload["reason"]) == ("match", None, "")


@needs_broker
@pytest.mark.parametrize("scores", [True, False])
async def test_a_server_without_scores_publishes_none(
    broker: Broker, settings: Callable[..., Config], dial: Any, enrol: Any, pcm: Any, scores: bool
) -> None:
    await broker.start()
    told: dict[str, Any] = {}
    starting = Server(settings(mqtt=broker.settings, scores=scores), drain_s=0.2)
    async with broker.listening() as following, starting as server:
        enrol(server, "anna")
        async with dial(server, claim="anna") as client:
            await client.sound(pcm("anna", 4.0))
            await client.say(type="finalize")
            await client.rest()
        while "utterance" not in told:
            topic, payload = await following()
            told[topic.rpartition("/")[2]] = payload
    for kind in ("decision", "utterance"):
        figures = [told[kind]["llr"], told[kind]["evidence"]]
        assert [figure is not None for figure in figures] == [scores, scores]
        assert bool(told[kind]["reason"]) == scores
    assert told["utterance"]["speaker"] == "anna"


@needs_broker
async def test_a_connection_that_breaks_is_announced_by_the_broker(broker: Broker) -> None:
    await broker.start()
    async with broker.listening() as following, Wire(broker.port) as wire:
        publisher = Publisher(Mqtt(host="127.0.0.1", port=wire.port, topic="vw/test"), Hub())
        async with running(publisher):
            assert await following() == ("status", "online")
            wire.cut()
            assert await following() == ("status", "offline")


@needs_broker
async def test_a_server_whose_last_words_take_too_long_is_offline_all_the_same(
    broker: Broker, settings: Callable[..., Config], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(beginning, "LAST_WORDS_S", 0.1)
    await broker.start()
    async with broker.listening() as following, Wire(broker.port) as wire:
        slow = Mqtt(host="127.0.0.1", port=wire.port, topic="vw/test", qos=1)
        async with Server(settings(mqtt=slow), drain_s=0.2) as server:
            assert await following() == ("status", "online")
            wire.answering.clear()
            # The last words wait for its answer, or for that of `online` if it was under way.
            server.context.hub.publish("s1", decision(1))
        told = await following()
        assert (await following() if told[0] == "s1/decision" else told) == ("status", "offline")
    async with broker.listening() as following:
        assert await following() == ("status", "offline"), "it is kept"


@needs_broker
async def test_a_publisher_that_is_broken_off_is_told_offline_by_the_broker(broker: Broker) -> None:
    await broker.start()
    async with broker.listening() as following:
        publishing = asyncio.create_task(Publisher(broker.settings, Hub()).run())
        assert await following() == ("status", "online")
        publishing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await publishing
        assert await following() == ("status", "offline")


@needs_broker
async def test_a_broker_that_is_given_up_says_offline_until_it_is_found_again(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it was sent had no answer in time; whether it is reached again is not known."""
    monkeypatch.setattr(mqtt, "FIRST_PAUSE_S", 0.02)
    await broker.start()
    publisher = Publisher(broker.settings, Hub())
    publish, failures = publisher._publish, [MqttError("Operation timed out")]

    async def failing(client: Client, following: Subscription) -> None:
        if failures:
            raise failures.pop()
        await publish(client, following)

    monkeypatch.setattr(publisher, "_publish", failing)
    async with broker.listening() as following:
        async with running(publisher):
            assert await following() == ("status", "online")
            assert await following() == ("status", "offline")
            assert await following() == ("status", "online")
        assert await following() == ("status", "offline")


class Wire:
    """A way to the broker that can be cut, and on which the broker may fall silent."""

    def __init__(self, to_port: int) -> None:
        self._to_port = to_port
        self._ends: list[asyncio.StreamWriter] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self.answering = asyncio.Event()
        self.answering.set()

    async def __aenter__(self) -> Wire:
        self._server = await asyncio.start_server(self._lay, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self.answering.set()
        self.cut()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        self._server.close()
        for end in self._ends:
            end.transport.abort()

    async def _lay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._to_port)
        self._ends += [writer, far_writer]
        asked = asyncio.Event()
        asked.set()
        for ways in ((reader, far_writer, asked), (far_reader, writer, self.answering)):
            self._tasks.add(asyncio.create_task(_carry(*ways)))


async def _carry(
    source: asyncio.StreamReader, sink: asyncio.StreamWriter, going: asyncio.Event
) -> None:
    while data := await source.read(4096):
        await going.wait()
        sink.write(data)
    sink.close()


async def test_without_a_broker_nothing_is_held_up_or_kept_without_bound() -> None:
    hub = Hub()
    publisher = Publisher(Mqtt(host="127.0.0.1", port=free_port()), hub, limit=10)
    async with running(publisher):
        async with asyncio.timeout(WAIT_S):
            while not len(hub):
                await asyncio.sleep(0.01)
        for t in range(10_000):
            hub.publish("s1", decision(t))
        (following,) = hub._followers
        assert len(following.outbox) <= 11


async def test_a_password_has_to_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_SUCH", raising=False)
    with pytest.raises(VoxwatchError, match="NO_SUCH"):
        Publisher(Mqtt(host="localhost", password_env="NO_SUCH"), Hub())


@needs_broker
async def test_a_server_publishes_what_its_streams_say(
    broker: Broker, settings: Callable[..., Config], dial: Any, enrol: Any, pcm: Any
) -> None:
    await broker.start()
    async with broker.listening() as following:
        async with Server(settings(mqtt=broker.settings), drain_s=1.0) as server:
            assert await following() == ("status", "online")
            enrol(server, "anna")
            async with dial(server, claim="anna") as client:
                stream = (await client.hear())["stream"]
                await client.sound(pcm("anna", 4.0))
                await client.say(type="finalize")
                assert await client.rest() == 1000
            seen = [await following()]
            while seen[-1][0] != f"{stream}/closed":
                seen.append(await following())
        assert await following() == ("status", "offline")
    topics = {topic for topic, _ in seen}
    kinds = {"opened", "decision", "utterance", "summary", "closed"}
    assert topics >= {f"{stream}/{kind}" for kind in kinds}
    assert f"{stream}/score" not in topics


@needs_broker
async def test_a_stream_that_never_gets_any_sound_is_published_as_stalled(
    broker: Broker, settings: Callable[..., Config], dial: Any
) -> None:
    await broker.start()
    async with (
        broker.listening() as following,
        Server(settings(mqtt=broker.settings, stall_s=1.0), drain_s=1.0) as server,
        dial(server, claim="") as client,
    ):
        stream = (await client.hear())["stream"]
        topic, payload = await following()
        while not topic.endswith("/stalled"):
            topic, payload = await following()
    assert topic == f"{stream}/stalled"
    assert payload["stalled"] is True
