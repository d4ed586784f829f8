"""Both directions of the wire: what is understood and what is refused, and nothing else."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from wire_messages import decode, decode_enrolment

from engine import events
from streamer.wire import errors, messages, parsing, requests
from streamer.wire.errors import WireError

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
FIELDS = [
    *("type", "encoding", "sample_rate", "channels", "channel", "claim", "window_s", "hop_s"),
    *("false_accept", "miss", "label", "session", "resume_from", "name", "consent", "ttl_days"),
    *("given", "text_version", "id", "role", "token", "add"),
]
TYPES = ["start", *requests.CONTROLS, *requests.REQUESTS, "ready", "score", "decision", "error"]
NEARLY = st.dictionaries(
    st.sampled_from(FIELDS), JSON | st.sampled_from(TYPES) | st.floats(0, 5) | st.integers(0, 9)
)
READERS: list[Callable[[str], Any]] = [
    parsing.parse_start,
    parsing.parse_enrolment,
    parsing.parse_control,
    parsing.parse_request,
    parsing.parse_target,
]
readers = pytest.mark.parametrize("read", READERS, ids=lambda f: f.__name__)


def code_of(call: Callable[[], Any]) -> str:
    with pytest.raises(WireError) as caught:
        call()
    assert caught.value.code in errors.CLOSE_CODES
    assert "\n" not in str(caught.value)
    return caught.value.code


@readers
@given(text=st.text() | NEARLY.map(json.dumps) | JSON.map(json.dumps))
def test_no_text_raises_anything_but_a_wire_error(read: Callable[[str], Any], text: str) -> None:
    with suppress(WireError):
        read(text)


@readers
@pytest.mark.parametrize(
    "text",
    ["[" * 100_000, '{"a":' * 100_000, "9" * 10_000, "1e999", '"\\ud800"', "\ud800", "%ff?%ff=%ff"],
    ids=["deep list", "deep object", "long number", "infinite", "half a pair", "surrogate", "%ff"],
)
def test_hostile_texts_are_refused(read: Callable[[str], Any], text: str) -> None:
    if read is parsing.parse_target and "%" not in text:
        return  # a path of any other characters is a path
    assert code_of(lambda: read(text)) in {"bad-message", "bad-parameter"}


@given(query=st.dictionaries(st.sampled_from(FIELDS) | st.text(), st.text()))
def test_no_query_raises_anything_but_a_wire_error(query: dict[str, str]) -> None:
    with suppress(WireError):
        start = parsing.start_from_query(query)
        parsing.claims_of(start.claim, 64)


@given(claim=st.text() | st.lists(st.text()) | st.lists(JSON).map(json.dumps))
def test_a_claim_is_a_bounded_list_of_names(claim: str | list[str]) -> None:
    with suppress(WireError):
        names = parsing.claims_of(claim, 3)
        assert len(names) <= 3
        assert all(name == name.strip() and name for name in names)
        assert len(set(names)) == len(names)


@pytest.mark.parametrize("claim", [" ", ",", " , ,", '[" "]', [""], ["", "  "]])
def test_a_claim_of_blanks_does_not_ask_who_of_all_it_is(claim: str | list[str]) -> None:
    assert code_of(lambda: parsing.claims_of(claim, 9)) == "bad-parameter"


@pytest.mark.parametrize("claim", ["", "[]", []])
def test_an_empty_claim_is_nobody_s(claim: str | list[str]) -> None:
    assert parsing.claims_of(claim, 9) == ()


def test_a_query_and_a_message_start_alike() -> None:
    target = parsing.parse_target(
        "/v1/stream?encoding=mulaw&sample_rate=8000&claim=alice,%20J%C3%BCrgen&hop_s=0.25&token=t"
    )
    assert (target.path, target.token) == ("/v1/stream", "t")
    said = {"type": "start", "encoding": "mulaw", "sample_rate": 8000, "hop_s": 0.25}
    by_message = parsing.parse_start(json.dumps({**said, "claim": ["alice", "Jürgen"]}))
    by_query = parsing.start_from_query(target.query)
    assert parsing.claims_of(by_query.claim, 9) == parsing.claims_of(by_message.claim, 9)
    assert msgspec.structs.replace(by_query, claim="") == msgspec.structs.replace(
        by_message, claim=""
    )
    assert (by_query.encoding, by_query.sample_rate) == ("mulaw", 8000)


def test_the_defaults_are_plain_speech() -> None:
    start = parsing.parse_start('{"type":"start"}')
    assert (start.encoding, start.sample_rate) == ("pcm_s16le", 16_000)
    assert (start.channels, start.channel) == (1, 0)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"encoding": "mp3"}, "unknown-encoding"),
        ({"encoding": 3}, "unknown-encoding"),
        ({"sample_rate": 0}, "bad-rate"),
        ({"sample_rate": -16000}, "bad-rate"),
        ({"sample_rate": 192_001}, "bad-rate"),
        ({"sample_rate": "fast"}, "bad-rate"),
        ({"channels": 0}, "bad-parameter"),
        ({"channels": 2, "channel": 2}, "bad-parameter"),
        ({"window_s": 1.9}, "bad-parameter"),
        ({"hop_s": 0.2}, "bad-parameter"),
        ({"false_accept": 0}, "bad-parameter"),
        ({"miss": 0.5}, "bad-parameter"),
        ({"label": "x" * 65}, "bad-parameter"),
        ({"session": "x"}, "bad-parameter"),
        ({"resume_from": 3}, "bad-parameter"),
        ({"session": "x", "resume_from": -1}, "bad-parameter"),
        ({"unheard_of": 1}, "bad-parameter"),
        ({"claim": 3}, "bad-parameter"),
        ({"type": "begin"}, "bad-start"),
    ],
)
def test_what_a_stream_cannot_start_with(fields: dict[str, Any], code: str) -> None:
    assert code_of(lambda: parsing.parse_start(json.dumps({"type": "start", **fields}))) == code


def test_what_is_wrong_with_a_field_is_said_after_its_name() -> None:
    with pytest.raises(WireError, match=r"^sample_rate: expected `int` >= 8000$"):
        parsing.parse_start('{"type":"start","sample_rate":4000}')


@pytest.mark.parametrize("text", ["", "[]", "3", "null", '"start"', "{}", '{"type":"finalize"}'])
def test_a_first_message_that_is_no_start(text: str) -> None:
    assert code_of(lambda: parsing.parse_start(text)) == ("bad-start" if text else "bad-message")


@pytest.mark.parametrize("read", [parsing.parse_start, parsing.parse_control])
def test_a_byte_order_mark_is_named(read: Callable[[str], Any]) -> None:
    with pytest.raises(WireError, match="byte order mark: leave it out"):
        read('\ufeff{"type": "start"}')


@pytest.mark.parametrize("number", ["nan", "inf", "-inf", "1e999"])
def test_a_query_has_finite_numbers(number: str) -> None:
    assert code_of(lambda: parsing.start_from_query({"window_s": number})) == "bad-parameter"
    assert code_of(lambda: parsing.start_from_query({"false_accept": number})) == "bad-parameter"


def test_a_parameter_is_given_once() -> None:
    assert code_of(lambda: parsing.parse_target("/v1/stream?claim=a&claim=b")) == "bad-parameter"
    assert code_of(lambda: parsing.parse_target("/?" + "a=1&" * 100)) == "bad-parameter"


def test_a_million_claims_are_too_many() -> None:
    many = [f"n{i}" for i in range(1_000_000)]
    assert code_of(lambda: parsing.claims_of(many, 64)) == "too-many-claims"
    assert code_of(lambda: parsing.claims_of(",".join(many), 64)) == "too-many-claims"
    assert code_of(lambda: parsing.claims_of("x" * 65, 64)) == "bad-parameter"


def test_enrolment_needs_a_name_and_consent() -> None:
    consent = {"given": True, "text_version": "2026-11"}
    start = {"type": "start", "name": "alice", "consent": consent, "ttl_days": 30}
    parsed = parsing.parse_enrolment(json.dumps(start))
    assert (parsed.name, parsed.ttl_days, parsed.add) == ("alice", 30, False)
    for missing in (None, {**consent, "given": False}):
        said = json.dumps({**start, "consent": missing})
        assert code_of(lambda said=said: parsing.parse_enrolment(said)) == "consent-missing"
    assert code_of(lambda: parsing.parse_enrolment(json.dumps({**start, "name": 3}))) == "bad-name"
    nothing = json.dumps({"type": "start", "consent": consent})
    assert parsing.parse_enrolment(nothing).name == ""  # a candidate link has it


def test_controls() -> None:
    assert parsing.parse_control('{"type":"finalize"}') == requests.Finalize()
    assert parsing.parse_control('{"type":"close"}') == requests.Close()
    assert parsing.parse_control('{"type":"keepalive"}') == requests.Keepalive()
    change = parsing.parse_control('{"type":"configure","miss":0.1,"claim":""}')
    assert change == requests.Configure(miss=0.1, claim="")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("{", "bad-message"),
        ("[1]", "bad-message"),
        ('{"type":"start"}', "second-start"),
        ('{"type":"sing"}', "unknown-control"),
        ('{"type":["finalize"]}', "unknown-control"),
        ("{}", "unknown-control"),
        ('{"type":"finalize","now":true}', "bad-parameter"),
        ('{"type":"configure","miss":2}', "bad-parameter"),
    ],
)
def test_what_is_no_control(text: str, code: str) -> None:
    assert code_of(lambda: parsing.parse_control(text)) == code


PAYLOAD = "//7+" * 40
SAMPLES = [0.1, -0.25, 0, 1] * 40


@pytest.mark.parametrize(
    "sound",
    [
        SAMPLES,
        [[one] for one in SAMPLES],
        {"audio": SAMPLES},
        {"audio": {str(place): one for place, one in enumerate(SAMPLES)}},  # a Float32Array's JSON
        {"type": "Buffer", "data": [7] * 160},
        {"audio": PAYLOAD},
        {"data": {"audio": PAYLOAD}},
        {"chunks": [{"mimeType": "audio/pcm", "data": PAYLOAD}]},
    ],
)
@pytest.mark.parametrize("read", [parsing.parse_start, parsing.parse_control])
def test_sound_in_json_is_told_what_to_do(read: Callable[[str], Any], sound: Any) -> None:
    with pytest.raises(WireError, match=r"binary messages of PCM.*/v1/twilio") as caught:
        read(json.dumps(sound))
    assert caught.value.code == "wrong-format"


@pytest.mark.parametrize("read", [parsing.parse_start, parsing.parse_control])
@pytest.mark.parametrize("more", [{}, {"type": "media"}])
def test_media_of_a_call_are_told_the_address_for_calls(
    read: Callable[[str], Any], more: dict[str, str]
) -> None:
    with pytest.raises(WireError, match=r"/v1/twilio, /v1/telnyx or /v1/plivo") as caught:
        read(json.dumps({"event": "media", "media": {"payload": PAYLOAD}} | more))
    assert caught.value.code == "wrong-format"


@pytest.mark.parametrize("read", [parsing.parse_start, parsing.parse_control])
def test_a_token_is_no_sound(read: Callable[[str], Any]) -> None:
    message = {"type": "auth", "token": PAYLOAD, "id": "9f86d081884c7d65" * 4}
    assert code_of(lambda: read(json.dumps(message))) in {"bad-start", "unknown-control"}


@pytest.mark.parametrize("message", [[1, 2], {"type": "sing", "notes": [440.0, 880.0], "to": {}}])
def test_a_few_numbers_are_no_sound(message: Any) -> None:
    assert code_of(lambda: parsing.parse_start(json.dumps(message))) == "bad-start"


def test_requests_keep_their_id_even_when_refused() -> None:
    call = parsing.parse_request('{"id":[1],"type":"delete","name":"alice"}')
    assert call == parsing.Call([1], requests.Delete(name="alice"))
    for text in ('{"id":7,"type":"delete"}', '{"id":7,"type":"dance"}', '{"id":7}'):
        with pytest.raises(WireError) as caught:
            parsing.parse_request(text)
        assert caught.value.request_id == 7


def test_every_request_and_control_is_in_its_table() -> None:
    def tags(union: Any) -> set[str]:
        return {kind.__struct_config__.tag for kind in get_args(union)}

    assert tags(requests.Request) == requests.REQUESTS
    assert tags(requests.StreamControl) == requests.CONTROLS


def sample(kind: Any) -> Any:
    """Some value of a type, made by its own fields."""
    shape = msgspec.json.schema(kind)
    return msgspec.convert(_from_schema(shape, shape.get("$defs", {})), kind)


def _from_schema(shape: dict[str, Any], names: dict[str, Any]) -> Any:
    if "$ref" in shape:
        return _from_schema(names[shape["$ref"].rpartition("/")[2]], names)
    if "anyOf" in shape:
        return _from_schema(shape["anyOf"][0], names)
    if "enum" in shape:
        return shape["enum"][0]
    if shape["type"] == "object":
        return {k: _from_schema(v, names) for k, v in shape.get("properties", {}).items()}
    if shape["type"] == "array":
        return [_from_schema(each, names) for each in shape.get("prefixItems", ())]
    return {"number": 0.5, "integer": 1, "string": "x", "boolean": True, "null": None}[
        shape["type"]
    ]


@pytest.mark.parametrize("kind", get_args(messages.StreamMessage))
def test_stream_messages_come_back_as_they_were(kind: Any) -> None:
    message = sample(kind)
    encoded = msgspec.json.encode(message)
    assert decode(encoded) == message
    assert set(json.loads(encoded)) >= {"type", "seq", "t"}


@pytest.mark.parametrize("kind", get_args(messages.EnrollMessage))
def test_enrolment_messages_come_back_as_they_were(kind: Any) -> None:
    message = sample(kind)
    assert decode_enrolment(msgspec.json.encode(message)) == message


@pytest.mark.parametrize("said", ["linear16", "LINEAR16", "pcm", "mp3", "", "s16le", "x" * 5000])
def test_an_encoding_that_is_none_is_told_those_there_are(said: str) -> None:
    known = "it is one of pcm_s16le, pcm_f32le, mulaw, alaw"
    for read, also in (
        (lambda: parsing.start_from_query({"encoding": said}), ", opus"),
        (lambda: parsing.parse_start(json.dumps({"type": "start", "encoding": said})), ", opus"),
        (lambda: parsing.verification_from_query({"encoding": said}), ""),
    ):
        with pytest.raises(WireError, match=known + also + "$") as refused:
            read()
        assert refused.value.code == "unknown-encoding"
        assert len(str(refused.value)) < 400


def test_what_may_be_anything_is_told_no_choices() -> None:
    with pytest.raises(WireError, match=r"sample_rate: expected `int`, got `str`$"):
        parsing.start_from_query({"sample_rate": "16k"})


def test_every_event_of_the_engine_can_be_told() -> None:
    told = set(get_args(messages.StreamMessage)) | set(get_args(messages.EnrollMessage))
    of_engine = {
        kind
        for _, kind in inspect.getmembers(events, inspect.isclass)
        if issubclass(kind, events.Event) and kind is not events.Event
    }
    assert of_engine - told == {events.Enrolled}  # goes with a name, as EnrolledAs


@pytest.mark.parametrize(
    ("code", "close"),
    [
        ("bad-start", 1008),
        ("text-not-utf8", 1007),
        ("binary-before-start", 1003),
        ("message-too-big", 1009),
        ("overloaded", 1013),
        ("engine-failed", 1011),
    ],
)
def test_close_codes(code: str, close: int) -> None:
    assert WireError(code, "no").close_code == close
