"""Writes what clients know of the wire from what the server says, so that the two cannot differ.

    python -m scripts.generate_wire

- clients/python/voxwatch_client/messages.py: the records of the Python client
- clients/js/src/messages.ts: the types of the JavaScript client
- docs/wire/schema.json: JSON Schema of every message
- docs/wire/asyncapi.json: AsyncAPI 3 of the four WebSockets, on that schema

A test fails while a file is not what this writes.
"""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
import textwrap
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

from engine import events, format
from engine.scoring import expected_rates
from scripts import typescript
from streamer.wire import errors, incidents, messages, requests

ROOT = Path(__file__).resolve().parents[1]
SCHEMA = ROOT / "docs" / "wire" / "schema.json"
ASYNCAPI = ROOT / "docs" / "wire" / "asyncapi.json"
PYTHON = ROOT / "clients" / "python" / "voxwatch_client" / "messages.py"
JAVASCRIPT = ROOT / "clients" / "js" / "src" / "messages.ts"

PYTHON_HEAD = f'''\
# {typescript.GENERATED}
# {typescript.WHY_LONG}
"""What goes over the wire of version 1, as records: messages of the server and of clients.

``t`` and every ``_s`` are seconds of media time; an ``llr`` is a natural-log likelihood ratio.
"""

from __future__ import annotations

from typing import Literal

import msgspec

'''
# The records of a client's own messages keep to what it may say and leave the bounds to the server.
SAID = (requests.StartStream, requests.StartEnroll, requests.GivenConsent, requests.Configure)
SAID += (requests.Finalize, requests.Close, requests.Keepalive)
SAID += (requests.Turn, requests.Reset, requests.Mute)
TOLD = (messages.StreamMessage, messages.EnrollMessage, messages.MonitorMessage, messages.Verdict)
UNIONS = {
    "StreamMessage": messages.StreamMessage,
    "EnrollMessage": messages.EnrollMessage,
    "MonitorMessage": messages.MonitorMessage,
    "StreamControl": requests.StreamControl,
}
MODULES = (format, events, expected_rates, incidents, messages, requests)
STARTS = ("StartStream", "StartEnroll")  # whose type is read before the rest
SCHEMAS = "#/components/schemas/"
PLAIN_BASES = ("ClientMessage",)  # they refuse unknown fields, which is for the server to do
OF_MONITORS = """\
    stream: str | msgspec.UnsetType = msgspec.UNSET  # on monitors: the public id of the stream
"""
UNKNOWN = '''


class Unknown(Event, frozen=True, kw_only=True, tag="unknown"):
    """What a newer server says and this client has no record for; ``fields`` are as it came."""

    kind: str
    fields: dict[str, object]


'''


def main() -> None:
    """Write every file."""
    for path, text in written().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def written() -> dict[Path, str]:
    """Every file and what is in it."""
    return {
        PYTHON: python_module(),
        JAVASCRIPT: javascript_module(),
        SCHEMA: _json(schema()),
        ASYNCAPI: _json(asyncapi()),
    }


def records() -> list[type[msgspec.Struct]]:
    """Every record that goes over the wire, each after those that it is made of."""
    found: dict[type[msgspec.Struct], None] = {}

    def add(one: type[msgspec.Struct]) -> None:
        if one in found:
            return
        for part in (*one.__bases__, *_structs(*get_type_hints(one).values())):
            if part is not msgspec.Struct and issubclass(part, msgspec.Struct) and part is not one:
                add(part)
        found[one] = None

    for one in (*_structs(*TOLD, messages.Refusal), *SAID):
        add(one)
    return [one for one in found if one.__name__ not in PLAIN_BASES]


def _structs(*annotations: Any) -> Iterator[type[msgspec.Struct]]:
    for annotation in annotations:
        if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
            yield annotation
        yield from _structs(*(a for a in get_args(annotation) if a is not Ellipsis))


def aliases() -> dict[Any, str]:
    """The names that our modules give to sets of words, such as the states."""
    return {
        value: name
        for module in MODULES
        for name, value in vars(module).items()
        if get_origin(value) is Literal
    }


def python_module() -> str:
    """The text of the Python client's records."""
    wanted = records()
    names, used = aliases(), {format.Encoding: "Encoding"}
    bodies = [_record(one, names, used) for one in wanted]
    parts = [PYTHON_HEAD]
    for value, name in used.items():
        parts.append(f"{name} = Literal[{', '.join(map(repr, get_args(value)))}]\n")
    parts.append(f"SAMPLE_BYTES: dict[Encoding, int] = {format.SAMPLE_BYTES!r}\n")
    final = ", ".join(repr(code) for code in sorted(errors.CLOSE_CODES))
    parts.append("# An `error` with one of these codes is the last message of its connection.\n")
    parts.append(f"LAST = frozenset({{{final}}})\n")
    parts += bodies
    parts.append(UNKNOWN)
    for name, union in UNIONS.items():
        members = [one.__name__ for one in get_args(union)]
        said = () if union is requests.StreamControl else ("Unknown",)
        parts.append(f"{name} = {' | '.join([*members, *said])}\n")
    return _formatted("".join(parts))


def javascript_module() -> str:
    """The text of the JavaScript client's types."""
    told = [one for one in records() if one not in SAID]
    return typescript.module(told, SAID, aliases(), UNIONS, errors.CLOSE_CODES, format.SAMPLE_BYTES)


def _record(one: type[msgspec.Struct], names: dict[Any, str], used: dict[Any, str]) -> str:
    config = one.__struct_config__
    base = next(b for b in one.__bases__ if issubclass(b, msgspec.Struct))
    if base.__name__ in PLAIN_BASES:
        base = msgspec.Struct
    head = "msgspec.Struct" if base is msgspec.Struct else base.__name__
    options = "frozen=True, kw_only=True"
    if one is events.Event:
        options += ', tag_field="type"'
    elif config.tag is not None:
        options += f", tag={config.tag!r}"
    if config.array_like:
        options += ", array_like=True"
    lines = [f"\n\nclass {one.__name__}({head}, {options}):", _doc(one)]
    inherited = {f.name for f in msgspec.structs.fields(base)} if base is not msgspec.Struct else ()
    hints = get_type_hints(one, include_extras=False)
    for field in msgspec.structs.fields(one):
        if field.name not in inherited:
            hint = _written(hints[field.name], names, used)
            lines.append(f"    {field.name}: {hint}{_default(field)}")
    if one is events.Event:
        lines.append(OF_MONITORS)
    return "\n".join(lines) + "\n"


def _doc(one: type) -> str:
    text = inspect.cleandoc(one.__doc__ or "").replace("\\", "\\\\")
    return textwrap.indent(f'"""{text}{chr(10) if chr(10) in text else ""}"""\n', "    ")


def _default(field: msgspec.structs.FieldInfo) -> str:
    if field.required and field.encode_name == field.name:
        return ""
    if field.encode_name != field.name:
        return f" = msgspec.field(name={field.encode_name!r})"
    if field.default is msgspec.UNSET:
        return " = msgspec.UNSET"
    if field.default is msgspec.NODEFAULT:
        return f" = msgspec.field(default_factory={field.default_factory.__name__})"
    return f" = {field.default!r}"


def _written(hint: Any, names: dict[Any, str], used: dict[Any, str]) -> str:
    """A type as it is written in the source of the client."""
    origin, parts = get_origin(hint), get_args(hint)
    if hint in names:
        used[hint] = names[hint]
        return names[hint]
    if origin is Annotated:
        return _written(parts[0], names, used)
    if origin in (Union, types.UnionType):
        return " | ".join(_written(part, names, used) for part in parts)
    if origin is Literal:
        return f"Literal[{', '.join(map(repr, parts))}]"
    if origin is not None:
        inner = ", ".join("..." if p is Ellipsis else _written(p, names, used) for p in parts)
        return f"{origin.__name__}[{inner}]"
    if hint is type(None):
        return "None"
    if hint is msgspec.UnsetType:
        return "msgspec.UnsetType"
    if hint is Any or hint is typing.Any:
        return "object"
    return str(hint.__name__)


class Channel(typing.NamedTuple):
    """One WebSocket: its path, what it is for, and what either side says on it."""

    path: str
    summary: str
    told: Any
    said: Any


CHANNELS = {
    "stream": Channel(
        "/v1/stream",
        "Sound in, scores and decisions out. Binary messages are sound; the first message is"
        " the start, unless the parameters of the address are.",
        messages.StreamMessage,
        requests.StartStream | requests.StreamControl,
    ),
    "enroll": Channel(
        "/v1/enroll",
        "Sound in, a voiceprint in the store. Binary messages are sound.",
        messages.EnrollMessage,
        requests.StartEnroll | requests.Finalize | requests.Close | requests.Keepalive,
    ),
    "monitor": Channel("/v1/monitor", "What all streams say.", messages.MonitorMessage, None),
    "control": Channel("/v1/control", "Requests and answers.", None, requests.Request),
}
ANSWER = {
    "description": "The answer to a request, with its id: a result, or an error.",
    "type": "object",
    "properties": {
        "id": {},
        "ok": {"type": "boolean"},
        "result": {},
        "error": {"$ref": "#/$defs/WhatIsWrong"},
    },
    "required": ["id", "ok"],
}


def schema() -> dict[str, Any]:
    """JSON Schema of every message, as definitions by name."""
    everything = [one for channel in CHANNELS.values() for one in (channel.told, channel.said)]
    kinds = list(dict.fromkeys([*_structs(*everything, messages.Verdict, messages.Refusal)]))
    _, found = msgspec.json.schema_components(kinds, ref_template="#/$defs/{name}")
    for name in STARTS:
        found[name]["properties"]["type"] = {"const": "start"}
        found[name]["required"] = ["type", *found[name].get("required", ())]
    for request in _structs(requests.Request):
        found[request.__name__]["properties"]["id"] = {}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "voxwatch, wire version 1",
        "$defs": dict(sorted({**found, "Answer": ANSWER}.items())),
    }


def asyncapi() -> dict[str, Any]:
    """The WebSockets as AsyncAPI 3; the schemas are those of :func:`schema`."""
    schemas = json.loads(json.dumps(schema()["$defs"]).replace("#/$defs/", SCHEMAS))
    channels: dict[str, Any] = {}
    operations: dict[str, Any] = {}
    for name, channel in CHANNELS.items():
        told = [one.__name__ for one in _structs(channel.told)] or ["Answer"]
        said = [one.__name__ for one in _structs(channel.said)] if channel.said else []
        channels[name] = {
            "address": channel.path,
            "summary": channel.summary,
            "messages": {
                one: {"name": one, "payload": {"$ref": SCHEMAS + one}} for one in [*told, *said]
            },
        }
        for way, names in (("send", told), ("receive", said)):  # as the server sees it
            if names:
                operations[f"{name}.{way}"] = {
                    "action": way,
                    "channel": {"$ref": f"#/channels/{name}"},
                    "messages": [{"$ref": f"#/channels/{name}/messages/{one}"} for one in names],
                }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "voxwatch",
            "version": "1",
            "description": "Whether a voice is still the person it should be, continuously."
            " streamer/WIRE.md says what the messages mean.",
        },
        "servers": {"local": {"host": "localhost:8765", "protocol": "ws"}},
        "channels": channels,
        "operations": operations,
        "components": {"schemas": schemas},
    }


def _json(value: Any) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


def _formatted(text: str) -> str:
    ruff = [sys.executable, "-m", "ruff", "format", "--stdin-filename", str(PYTHON), "-"]
    done = subprocess.run(ruff, input=text, capture_output=True, text=True, check=True, cwd=ROOT)
    return done.stdout


if __name__ == "__main__":
    main()
