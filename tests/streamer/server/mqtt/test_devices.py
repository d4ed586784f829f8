"""What Home Assistant is told of streams: names, states, what is kept and what is taken back."""

from __future__ import annotations

import json

import pytest
from told_devices import NOW, OWN, TOPICS, Broker, decision, opened, turn

from engine import events
from streamer.server.mqtt.devices import FORGOTTEN_S, MOST, TURNS, Devices
from streamer.server.mqtt.discovery import DECISIONS, digest, slug
from streamer.wire import messages


@pytest.fixture
def devices() -> Devices:
    return Devices(TOPICS, "1.0")


@pytest.fixture
def broker(devices: Devices) -> Broker:
    return Broker(devices)


def test_a_label_is_a_device_of_the_server_and_comes_before_its_state(
    devices: Devices, broker: Broker
) -> None:
    devices.announce()
    devices.hear("s1", opened("Kitchen"), NOW)
    assert broker.take() == [
        f"{OWN}/config",
        f"{OWN}-kitchen/config",
        "voxwatch/kitchen/state",
    ]
    kitchen = broker.retained[f"{OWN}-kitchen/config"]
    assert kitchen["device"]["name"] == "Kitchen"
    (server,) = broker.retained[f"{OWN}/config"]["device"]["identifiers"]
    assert kitchen["device"]["via_device"] == server
    kinds = {key: entity["platform"] for key, entity in kitchen["components"].items()}
    assert kinds == {
        "speaker": "sensor",
        "decision": "sensor",
        "verified": "binary_sensor",
        "speech": "binary_sensor",
        "utterance": "event",
    }
    assert list(broker.retained[f"{OWN}/config"]["components"]) == ["connected"]


def test_the_state_follows_the_stream_and_names_nobody_after_it(
    devices: Devices, broker: Broker
) -> None:
    devices.hear("s1", opened("Kitchen"), NOW)
    states = []
    for event in (
        events.Vad(t=1.0, speech=True, at=1.0),
        decision("match"),
        events.Stalled(t=2.0, stalled=True, gap_s=3.0),
        events.Stalled(t=2.0, stalled=False, gap_s=4.0),
        events.Vad(t=4.0, speech=False, at=4.0),
        decision("unknown", None),
        decision("mismatch"),
        messages.Closed(t=4.0, code=1000),
    ):
        devices.hear("s1", event, NOW + 1)
        broker.take()
        told = broker.retained["voxwatch/kitchen/state"]
        states.append([told[k] for k in ("open", "speaker", "decision", "verified", "speech")])
    assert states == [
        [True, None, None, False, True],
        [True, "anna", "match", True, True],
        [True, None, None, False, False],
        [True, "anna", "match", True, True],
        [True, "anna", "match", True, False],
        [True, None, "stranger", False, False],
        [True, None, "mismatch", False, False],
        [False, None, None, False, False],
    ]
    assert "anna" not in json.dumps(broker.retained)


def test_nothing_is_retained_that_may_name_somebody_in_words(
    devices: Devices, broker: Broker
) -> None:
    devices.hear("s1", opened("Kitchen"), NOW)
    devices.hear("s1", decision("uncertain"), NOW)
    broker.take()
    assert "anna" not in json.dumps(broker.retained)


def test_turns_are_events_by_label_and_are_not_retained(devices: Devices, broker: Broker) -> None:
    devices.hear("s1", opened("Kitchen"), NOW)
    for state in ("match", "mismatch", "unknown"):
        devices.hear("s1", turn(state), NOW)
    broker.take()
    told = [(topic, t["event_type"], t["speaker"]) for topic, t in broker.turns]
    assert told == [
        ("voxwatch/kitchen/event", "match", "anna"),
        ("voxwatch/kitchen/event", "mismatch", None),  # a claim names nobody else
        ("voxwatch/kitchen/event", "stranger", None),
    ]
    assert {kind for _, kind, _ in told} <= set(DECISIONS)


def test_a_turn_is_told_before_the_end_of_its_stream(devices: Devices, broker: Broker) -> None:
    devices.hear("s1", opened("Kitchen"), NOW)
    devices.hear("s1", turn("match"), NOW)
    devices.hear("s1", messages.Closed(t=4.0, code=1000), NOW)
    topics = broker.take()
    assert topics == [
        f"{OWN}-kitchen/config",
        "voxwatch/kitchen/event",
        "voxwatch/kitchen/state",
    ]


def test_a_broker_that_is_away_gets_the_newest_state_and_the_last_turns(
    devices: Devices, broker: Broker
) -> None:
    devices.hear("s1", opened("Kitchen"), NOW)
    for number in range(1000):
        devices.hear("s1", events.Vad(t=number, speech=number % 2 == 0, at=number), NOW + number)
        devices.hear("s1", turn("match"), NOW + number)
    assert len(broker.take()) == 2 + TURNS
    assert broker.retained["voxwatch/kitchen/state"]["at"] == NOW + 999


def test_what_has_not_changed_is_told_again_only_when_it_is_asked_for(
    devices: Devices, broker: Broker
) -> None:
    devices.announce()
    devices.hear("s1", opened("Kitchen"), NOW)
    everything = broker.take()
    devices.hear("s1", decision("match"), NOW)
    assert broker.take() == ["voxwatch/kitchen/state"]
    devices.hear("s1", decision("match"), NOW)
    assert broker.take() == []
    devices.announce()
    assert broker.take() == everything


def test_what_changes_on_its_way_is_told_after_it(devices: Devices) -> None:
    devices.hear("s1", opened("Kitchen"), NOW)
    config = devices.due
    assert config is not None
    devices.done(config)
    state = devices.due
    assert state is not None
    devices.hear("s1", decision("match"), NOW)
    devices.done(state)
    newer = devices.due
    assert newer is not None
    assert newer.topic == state.topic
    assert b"anna" in newer.payload


def test_candidates_of_exams_are_not_shown(devices: Devices, broker: Broker) -> None:
    devices.hear("s1", opened("Anna Karenina", exam="x"), NOW)
    devices.hear("s1", decision("match"), NOW)
    assert broker.take() == []


def test_streams_without_a_label_are_the_server_s_own(devices: Devices, broker: Broker) -> None:
    devices.announce()
    devices.hear("s1", opened(""), NOW)
    devices.hear("s1", decision("match"), NOW)
    broker.take()
    assert "speaker" in broker.retained[f"{OWN}/config"]["components"]
    assert broker.retained["voxwatch/unlabelled/state"]["speaker"] == "anna"
    devices.hear("s2", opened("unlabelled"), NOW)
    broker.take()
    assert len([topic for topic in broker.retained if topic.endswith("/state")]) == 2


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("Kitchen", "kitchen"),
        ("  Wohnzimmer / Küche #1 ", "wohnzimmer_kuche_1"),
        ("a+b/#", "a_b"),
        ("$SYS", "sys"),
    ],
)
def test_a_label_is_made_fit_for_topics(label: str, name: str) -> None:
    assert slug(label) == name


def test_labels_of_other_scripts_have_a_name_each(devices: Devices, broker: Broker) -> None:
    devices.hear("s1", opened("客厅"), NOW)
    devices.hear("s2", opened("臥室"), NOW)
    broker.take()
    states = [topic for topic in broker.retained if topic.endswith("/state")]
    assert len(states) == 2
    assert all(topic.startswith("voxwatch/stream_") for topic in states)


def test_labels_that_look_alike_are_told_apart_and_the_log_says_so(
    devices: Devices, broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    devices.hear("s1", opened("Kitchen 1"), NOW)
    devices.hear("s2", opened("kitchen-1"), NOW)
    broker.take()
    labels = {t: s["label"] for t, s in broker.retained.items() if t.endswith("/state")}
    assert list(labels.values()) == ["Kitchen 1", "kitchen-1"]
    first, second = labels
    assert first == "voxwatch/kitchen_1/state"
    assert second.startswith("voxwatch/kitchen_1_")
    assert [r.getMessage() for r in caplog.records if "look alike" in r.getMessage()]


@pytest.mark.parametrize(("like", "other"), [("Küche", "Kuche"), ("unlabelled", "")])
def test_a_label_that_reads_as_the_longer_name_of_another_takes_none_of_its_topics(
    devices: Devices, broker: Broker, like: str, other: str
) -> None:
    labels = [f"{slug(like)} {digest(like, 4)}", other, like]
    for number, label in enumerate(labels):
        devices.hear(f"s{number}", opened(label), NOW)
    broker.take()
    states = {t: s["label"] for t, s in broker.retained.items() if t.endswith("/state")}
    assert sorted(states.values()) == sorted(labels)
    again = Devices(TOPICS, "1")
    for topic, state in broker.retained.items():
        again.learn(topic, json.dumps(state).encode(), NOW)
    learnt = Broker(again)
    learnt.take()
    assert learnt.retained.keys() == broker.retained.keys()


def test_of_two_streams_with_one_label_the_newer_is_shown_while_it_is_open(
    devices: Devices, broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    devices.hear("s1", opened("Kitchen"), NOW)
    devices.hear("s1", decision("match"), NOW)
    devices.hear("s2", opened("Kitchen"), NOW)
    devices.hear("s1", events.Vad(t=1.0, speech=True, at=1.0), NOW)
    broker.take()
    assert broker.retained["voxwatch/kitchen/state"]["speaker"] is None
    devices.hear("s2", messages.Closed(t=4.0, code=1000), NOW)
    broker.take()
    told = broker.retained["voxwatch/kitchen/state"]
    assert (told["open"], told["speaker"], told["speech"]) == (True, "anna", True)
    assert len([r for r in caplog.records if "one label" in r.getMessage()]) == 1


def restarted(old: Broker) -> tuple[Devices, Broker]:
    devices = Devices(TOPICS, "1.1")
    broker = Broker(devices)
    broker.retained = dict(old.retained)
    devices.announce()
    return devices, broker


def test_a_server_that_died_takes_back_who_spoke(devices: Devices, broker: Broker) -> None:
    devices.hear("s1", opened("Kitchen"), NOW)
    devices.hear("s1", decision("match"), NOW)
    broker.take()
    devices, broker = restarted(broker)
    for topic, payload in list(broker.retained.items()):
        if topic.endswith("/state"):
            devices.learn(topic, json.dumps(payload).encode(), NOW + 60)
    broker.take()
    assert broker.retained["voxwatch/kitchen/state"]["open"] is False
    assert "anna" not in json.dumps(broker.retained)
    devices.hear("s2", opened("Kitchen"), NOW + 61)
    broker.take()
    assert broker.retained["voxwatch/kitchen/state"]["open"] is True


def test_what_is_retained_does_not_overrule_what_is_known(devices: Devices, broker: Broker) -> None:
    devices.hear("s1", opened("Kitchen"), NOW)
    broker.take()
    earlier = {"label": "Kitchen", "open": False, "at": NOW - 9}
    devices.learn("voxwatch/kitchen/state", json.dumps(earlier).encode(), NOW)
    assert broker.take() == []


@pytest.mark.parametrize(
    ("topic", "payload"),
    [
        ("voxwatch/kitchen/state", b"no JSON"),
        ("voxwatch/kitchen/state", b'{"label": "Garden", "open": true, "at": 1}'),
        ("voxwatch/kitchen/state", b'{"label": 5, "open": true, "at": 1}'),
        ("voxwatch/kitchen/state", b"[]"),
        ("voxwatch/x/state", b'{"label": "%s", "open": true, "at": 1}' % (b"x" * 999)),
    ],
)
def test_what_others_retain_there_is_none_of_ours(
    devices: Devices, broker: Broker, topic: str, payload: bytes
) -> None:
    devices.learn(topic, payload, NOW)
    assert broker.take() == []


def test_a_device_without_streams_for_long_is_taken_back(devices: Devices, broker: Broker) -> None:
    devices.announce()
    for label in ("Kitchen", "Garden", ""):
        devices.hear(label or "none", opened(label), NOW)
    for stream in ("Kitchen", "none"):
        devices.hear(stream, messages.Closed(t=4.0, code=1000), NOW)
    devices.pass_time(NOW + FORGOTTEN_S - 1)
    broker.take()
    assert len(broker.retained) == 1 + 2 + 2 + 1
    devices.pass_time(NOW + FORGOTTEN_S + 1)
    broker.take()
    assert set(broker.retained) == {
        f"{OWN}/config",
        f"{OWN}-garden/config",
        "voxwatch/garden/state",
    }
    assert list(broker.retained[f"{OWN}/config"]["components"]) == ["connected"]


def test_a_device_that_was_deleted_stays_so_until_it_has_a_stream_again(
    devices: Devices, broker: Broker
) -> None:
    devices.announce()
    devices.hear("s1", opened("Kitchen"), NOW)
    devices.hear("s1", messages.Closed(t=4.0, code=1000), NOW)
    broker.take()
    del broker.retained[f"{OWN}-kitchen/config"]  # as Home Assistant does
    devices.emptied(f"{OWN}-kitchen/config")
    devices.announce()
    broker.take()
    assert set(broker.retained) == {f"{OWN}/config"}
    devices.hear("s2", opened("Kitchen"), NOW)
    broker.take()
    assert f"{OWN}-kitchen/config" in broker.retained


def test_of_too_many_labels_those_make_way_that_are_longest_gone(
    devices: Devices, broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(MOST):
        devices.hear(str(number), opened(f"call {number}"), NOW + number)
    devices.hear("one more", opened("one more"), NOW + MOST)
    devices.hear("and more", opened("and more"), NOW + MOST)
    broker.take()
    assert "voxwatch/one_more/state" not in broker.retained
    assert len([r for r in caplog.records if "no more at once" in r.getMessage()]) == 1
    for number in (7, 3):
        devices.hear(str(number), messages.Closed(t=4.0, code=1000), NOW + MOST + 9 - number)
    devices.hear("another", opened("another"), NOW + 99)
    broker.take()
    assert "voxwatch/another/state" in broker.retained
    assert "voxwatch/call_7/state" not in broker.retained  # closed before 3
    assert "voxwatch/call_3/state" in broker.retained
