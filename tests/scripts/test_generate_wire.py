"""What clients know of the wire is what the server says."""

from __future__ import annotations

import importlib.util
import typing
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest

from streamer.wire import messages as told
from voxwatch_client import ServerError, reading
from voxwatch_client import messages as known

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("wire", ROOT / "scripts" / "generate_wire.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_what_lies_here_is_what_the_script_writes(generate: ModuleType) -> None:
    for path, text in generate.written().items():
        assert path.read_text() == text, f"{path.name} is not what scripts/generate_wire.py writes"


def test_every_reference_in_what_is_described_leads_somewhere(generate: ModuleType) -> None:
    for whole in (generate.schema(), generate.asyncapi()):
        found = list(_references(whole))
        assert found
        for reference in found:
            place = whole
            for part in reference.removeprefix("#/").split("/"):
                place = place[part]


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            if name == "$ref":
                yield inner
            else:
                yield from _references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _references(inner)


UNIONS = [
    (told.StreamMessage, reading.stream),
    (told.EnrollMessage, reading.enrolment),
    (told.MonitorMessage, reading.monitor),
]


@pytest.mark.parametrize(
    ("kind", "read"),
    [(kind, read) for union, read in UNIONS for kind in typing.get_args(union)],
    ids=lambda one: getattr(one, "__name__", ""),
)
def test_every_message_of_the_server_is_read_as_it_was_said(kind: Any, read: Any) -> None:
    said = msgspec.json.encode(_example(kind))
    found = read(said)
    assert not isinstance(found, known.Unknown)
    assert msgspec.json.decode(msgspec.json.encode(found)) == msgspec.json.decode(said)


def test_what_is_not_known_is_passed_on_with_its_fields() -> None:
    found = reading.stream('{"type": "mood", "seq": 7, "t": 1.5, "mood": "grave"}')
    assert isinstance(found, known.Unknown)
    assert (found.kind, found.seq, found.t) == ("mood", 7, 1.5)
    assert found.fields["mood"] == "grave"


def test_a_new_field_of_a_known_message_does_no_harm() -> None:
    found = reading.stream('{"type": "vad", "seq": 1, "t": 1, "speech": true, "at": 0.5, "new": 1}')
    assert isinstance(found, known.Vad)


@pytest.mark.parametrize("text", ["", "{", "[]", '"vad"', "{}", '{"type": 1}', '{"type": "vad"}'])
def test_what_cannot_be_read_is_the_servers_error(text: str) -> None:
    with pytest.raises(ServerError, match="cannot be read"):
        reading.stream(text)


def _example(kind: Any) -> Any:
    """A record of that kind with every field given."""
    hints = typing.get_type_hints(kind)
    return kind(**{f.name: _value(hints[f.name]) for f in msgspec.structs.fields(kind)})


def _value(hint: Any) -> Any:
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        return parts[0]
    if origin is tuple:
        items = parts[:1] if parts[-1] is Ellipsis else parts
        return tuple(map(_value, items))
    if origin is list:
        return [_value(parts[0])]
    if origin is dict:
        return {"a": _value(parts[1])}
    if parts:  # a union: the first of it that says something
        return _value(next(p for p in parts if p not in (type(None), msgspec.UnsetType)))
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return _example(hint)
    return {str: "a", int: 3, float: 2.5, bool: True}[hint]
