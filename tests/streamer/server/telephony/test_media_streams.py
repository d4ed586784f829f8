"""Messages of Twilio, Telnyx and Plivo, and what they mean, without a server."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from telephone import Plivo, Telnyx, Twilio

from streamer.server.telephony.media_streams import MediaStreams
from streamer.server.telephony.opening import Opening
from streamer.wire.errors import WireError
from streamer.wire.requests import Finalize, Keepalive


def begun(call: Twilio, **changes: Any) -> tuple[MediaStreams, Opening]:
    streams = MediaStreams()
    opening = streams.open(json.dumps(call.start(**changes)))
    assert opening is not None
    return streams, opening


def refusal(call: Twilio, **changes: Any) -> str:
    with pytest.raises(WireError) as refused:
        begun(call, **changes)
    return f"{refused.value.code}: {refused.value}"


@pytest.mark.parametrize(
    ("message", "whose"),
    [
        ({"event": "websocket:connected", "content-type": "audio/l16;rate=16000"}, "Vonage"),
        ({"event": "start", "stream_sid": "x", "start": {"call_sid": "c"}}, "Exotel"),
        ({"type": "open", "serverseq": 0, "id": "e1"}, "AudioHook"),
        ({"type": "setup", "sessionId": "VX1"}, "ConversationRelay"),
    ],
)
def test_another_systems_call_is_named(message: dict[str, Any], whose: str) -> None:
    with pytest.raises(WireError, match=whose) as refused:
        MediaStreams().open(json.dumps(message))
    assert refused.value.code == "wrong-format"


@pytest.mark.parametrize("call", [Twilio(), Telnyx(), Plivo()])
@pytest.mark.parametrize("name", ["ucid", "stream_sid", "eventType", "msg_type"])
def test_a_call_with_a_field_as_another_system_has_it_is_taken(call: Twilio, name: str) -> None:
    _, opening = begun(call, headers={name: "5"})
    assert opening.format.encoding == "mulaw"


def test_a_misspelt_parameter_is_named_whatever_it_is_called() -> None:
    assert refusal(Twilio(ucid="5")).startswith("bad-parameter: unknown in the call: 'ucid'")


@pytest.mark.parametrize(
    ("call", "format_", "expected"),
    [
        (Twilio(), {"encoding": "audio/x-mulaw", "sampleRate": 8000}, ("mulaw", 8000)),
        (Twilio(), {"encoding": "AUDIO/X-ALAW", "sampleRate": "8000"}, ("alaw", 8000)),
        (Telnyx(), {"encoding": "PCMU", "sample_rate": 8000}, ("mulaw", 8000)),
        (Telnyx(), {"encoding": "PCMA", "sample_rate": 8000}, ("alaw", 8000)),
        (Telnyx(), {"encoding": "L16", "sample_rate": 16000}, ("pcm_s16le", 16_000)),
        (Plivo(), {"encoding": "audio/x-l16", "sampleRate": 16000}, ("pcm_s16le", 16_000)),
        (Plivo(), {"encoding": "audio/x-l16;rate=8000"}, ("pcm_s16le", 8000)),
    ],
)
def test_the_format_is_the_one_that_start_names(call: Twilio, format_: Any, expected: Any) -> None:
    name = "media_format" if isinstance(call, Telnyx) else "mediaFormat"
    _, opening = begun(call, **{name: format_})
    assert (opening.start.encoding, opening.start.sample_rate) == expected


def test_twilio_without_a_format_is_mu_law() -> None:
    start = Twilio().start()
    del start["start"]["mediaFormat"]
    opening = MediaStreams().open(json.dumps(start))
    assert opening is not None
    assert (opening.start.encoding, opening.start.sample_rate) == ("mulaw", 8000)


@pytest.mark.parametrize("name", ["G722", "OPUS", "AMR-WB", "audio/x-gsm", ""])
def test_another_encoding_is_refused_by_name(name: str) -> None:
    told = refusal(Telnyx(), media_format={"encoding": name, "sample_rate": 16_000})
    assert told.startswith("unknown-encoding")
    assert "PCMU" in told


def test_l16_of_telnyx_has_the_high_byte_first_and_that_of_plivo_the_low_one() -> None:
    for call, expected in (
        (Telnyx(encoding="L16"), b"\x01\x00\xff\x7f"),
        (Plivo(encoding="l16"), b"\x00\x01\x7f\xff"),
    ):
        streams, _ = begun(call)
        assert streams.receive(json.dumps(call.media(0, b"\x00\x01\x7f\xff"))) == [expected]


def test_half_a_sample_of_l16_is_refused() -> None:
    call = Telnyx(encoding="L16")
    streams, _ = begun(call)
    with pytest.raises(WireError, match="two bytes"):
        streams.receive(json.dumps(call.media(0, b"\x00\x01\x02")))


@pytest.mark.parametrize(
    "headers",
    [
        "{X-PH-claim: anna, X-PH-token: t0, X-PH-Other: 5}",
        "{X-PH-Claim: x}; claim=anna; token=t0",
        '{"claim": "anna", "X-PH-token": "t0"}',
        "claim=anna,token=t0",
        {"X-PH-claim": "anna", "token": "t0"},
    ],
)
def test_the_headers_of_plivo_are_read_in_each_of_their_forms(headers: Any) -> None:
    start = Plivo().start() | {"extra_headers": headers}
    opening = MediaStreams().open(json.dumps(start))
    assert opening is not None
    assert (opening.start.claim, opening.token) == ("anna", "t0")


def test_parameters_of_the_call_come_before_those_of_the_address() -> None:
    streams = MediaStreams({"claim": "bert", "label": "line 7"})
    opening = streams.open(json.dumps(Twilio(claim="anna").start()))
    assert opening is not None
    assert (opening.start.claim, opening.start.label) == ("anna", "line 7")


def test_a_long_name_of_a_call_is_cut_where_a_label_ends() -> None:
    _, opening = begun(Telnyx(call="v3:" + "x" * 90))
    assert len(opening.start.label) == 64
    assert len(opening.call) == 93


def test_an_opening_shows_no_token() -> None:
    _, opening = begun(Twilio(token="secret-1"))
    assert opening.token == "secret-1"
    assert "secret-1" not in repr(opening)


def test_the_token_that_telnyx_puts_into_connected_is_the_calls() -> None:
    streams, call = MediaStreams(), Telnyx()
    fields = {"connected": {"x-telnyx-streaming-auth-token": "t1"}}
    assert streams.open(json.dumps(call.connected | fields)) is None
    opening = streams.open(json.dumps(call.start()))
    assert opening is not None
    assert opening.token == "t1"


def test_what_is_no_sound_of_the_caller_keeps_the_call_alive() -> None:
    call = Twilio()
    streams, _ = begun(call)
    for message in (call.mark("a"), call.dtmf("5"), call.media(0, b"x", "outbound")):
        assert streams.receive(json.dumps(message)) == [Keepalive()]
    assert streams.receive(json.dumps({"event": "news-of-next-year"})) == [Keepalive()]


@pytest.mark.parametrize("written", ["1" + "0" * 400, "-1" + "0" * 400, "9" * 5000, "soon"])
@pytest.mark.parametrize("field", ["timestamp", "sequenceNumber"])
def test_a_number_that_no_call_comes_to_is_none(field: str, written: str) -> None:
    call = Twilio()
    streams, _ = begun(call)
    message = call.media(0, b"ab")
    (message["media"] if field == "timestamp" else message)[field] = written
    assert streams.receive(json.dumps(message)) == [b"ab"]


def test_stop_hands_out_what_still_waits_and_ends_the_sound() -> None:
    call = Twilio()
    streams, _ = begun(call)
    call.number += 1  # one that never comes
    assert streams.receive(json.dumps(call.media(0, b"ab"))) == [Keepalive()]
    assert streams.receive(json.dumps(call.stop())) == [b"ab", Finalize()]
    assert streams.receive(json.dumps(call.stop())) == []


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)
NAMES = ["start", "media", "connected", "sequenceNumber", "sequence_number", "stream_id"]
NAMES += ["extra_headers", "payload", "track", "timestamp", "callSid", "mediaFormat", "tracks"]
objects = st.dictionaries(st.sampled_from(NAMES), json_values, max_size=5)
events = st.sampled_from(["connected", "start", "media", "stop", "mark", "dtmf", "x"])
messages = st.builds(
    lambda event, fields, inner: json.dumps({**fields, "event": event, event: inner}),
    events,
    objects,
    objects | json_values,
)


@given(st.lists(messages | st.text(max_size=20) | st.binary(max_size=20), max_size=6))
def test_whatever_comes_is_understood_or_refused(said: list[str | bytes]) -> None:
    streams, opening = MediaStreams(), None
    for message in said:
        with contextlib.suppress(WireError):
            opening = opening or streams.open(message)
            if opening is not None:
                streams.receive(message)


@given(objects)
def test_whatever_a_start_holds_is_understood_or_refused(fields: dict[str, Any]) -> None:
    with contextlib.suppress(WireError):
        begun(Twilio(), **fields)
