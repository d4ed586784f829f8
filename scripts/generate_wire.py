"""Writes what clients know of the wire from what the server says, so that the two cannot differ.

    python -m scripts.generate_wire

- clients/python/voxwatch_client/messages.py: the records of the Python client
- clients/js/src/messages.ts: the types of the JavaScript client
- docs/wire/schema.json: JSON Schema of every message
- docs/wire/asyncapi.json: AsyncAPI 3 of the four WebSockets, on that schema

A test fails while a file is not what this writes.
"""

from __future__ import annotations

import json
import subprocess
import sys
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import msgspec

from engine import events, format
from engine.scoring import expected_rates
from scripts import python_records, typescript
from streamer.wire import errors, incidents, messages, requests
from streamer.wire.client_message import ClientMessage

ROOT = Path(__file__).resolve().parents[1]
SCHEMA = ROOT / "docs" / "wire" / "schema.json"
ASYNCAPI = ROOT / "docs" / "wire" / "asyncapi.json"
PYTHON = ROOT / "clients" / "python" / "voxwatch_client" / "messages.py"
JAVASCRIPT = ROOT / "clients" / "js" / "src" / "messages.ts"

# The records of a client's own messages keep to what it may say and leave the bounds to the server.
SAID: tuple[type[msgspec.Struct], ...] = (
    requests.StartStream,
    requests.StartEnroll,
    requests.GivenConsent,
    requests.Configure,
    requests.Finalize,
    requests.Close,
    requests.Keepalive,
    requests.Turn,
    requests.Reset,
    requests.Mute,
)
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


def main() -> None:
    """Write every file."""
    for path, text in written().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def written() -> dict[Path, str]:
    """Every file and what is in it."""
    return {
        PYTHON: _formatted(python_module()),
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
        for part in _structs(*one.__bases__, *get_type_hints(one).values()):
            if part is not msgspec.Struct and part is not one:
                add(part)
        found[one] = None

    for one in (*_structs(*TOLD, messages.Refusal), *SAID):
        add(one)
    # That unknown fields are refused is for the server to do.
    return [one for one in found if one is not ClientMessage]


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
    return python_records.module(
        records(), SAID, aliases(), UNIONS, errors.CLOSE_CODES, format.SAMPLE_BYTES
    )


def javascript_module() -> str:
    """The text of the JavaScript client's types."""
    told = [one for one in records() if one not in SAID]
    return typescript.module(told, SAID, aliases(), UNIONS, errors.CLOSE_CODES, format.SAMPLE_BYTES)


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
