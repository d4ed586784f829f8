"""Writes what clients know of the wire from what the server says, so that the two cannot differ.

- clients/python/voxwatch_client/messages.py: the records of the Python client

A test fails while a file is not what this writes.
"""

from __future__ import annotations

import inspect
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
from streamer.wire import errors, messages, requests

ROOT = Path(__file__).resolve().parents[1]
PYTHON = ROOT / "clients" / "python" / "voxwatch_client" / "messages.py"

PYTHON_HEAD = '''\
"""What goes over the wire of version 1, as records: messages of the server and of clients.

Written by scripts/generate_wire.py from the server's own records. ``t`` and every ``_s`` are
seconds of media time; an ``llr`` is a natural-log likelihood ratio.
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
MODULES = (format, events, expected_rates, messages, requests)
PLAIN_BASES = ("_ClientMessage",)  # they refuse unknown fields, which is for the server to do
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
    PYTHON.write_text(python_module())


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
    names, used = aliases(), {}
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


def _formatted(text: str) -> str:
    ruff = [sys.executable, "-m", "ruff", "format", "--stdin-filename", str(PYTHON), "-"]
    done = subprocess.run(ruff, input=text, capture_output=True, text=True, check=True, cwd=ROOT)
    return done.stdout


if __name__ == "__main__":
    main()
