"""Who may import whom, between rooms and within them, and what serving loads.

Imports by name are held to it too: a module that imports by a name which cannot be read from
its source is refused.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.model.bundle import Bundle

ROOT = Path(__file__).parents[1]
CLIENT = ROOT / "clients" / "python"
OURS = ("engine", "streamer", "models", "voxwatch_client", "web", "scripts", "tests")
STDLIB = sys.stdlib_module_names
ENGINE_MAY = {"engine", "numpy", "onnxruntime", "msgspec", "soxr", "soundfile"}
ENGINE_MAY |= {"av"}  # of an extra: engine/audio/media/library.py says where it is lacking
CLIENT_MAY = {"voxwatch_client", "websockets", "msgspec"}  # it is installed where we are not
PLUGS = {"voxwatch_client.pipecat": "pipecat", "voxwatch_client.openai_agents": "agents"}
PLUGS |= {"voxwatch_client.wyoming": "wyoming", "voxwatch_client.livekit": "livekit"}
PLUGS |= {"voxwatch_client.mcp": "mcp"}
BROUGHT = {"voxwatch_client.mcp": {"starlette", "uvicorn"}}  # what the framework brings along
NEVER_SERVED = {"torch", "torchaudio", "scipy"}
UNREADABLE = "?"  # stands for an import whose name is no literal
BY_NAME = {"import_module", "find_spec", "__import__", "run_module", "resolve_name"}
# These run source of any origin, so that no name of theirs says what they load.
RUN = {"exec", "eval", "run_path", "spec_from_file_location"}
BUILTIN = {"exec", "eval"}  # elsewhere than in `builtins` these are methods of other things

SEARCHED = ("engine", "streamer", "models", "voxwatch_client")

# Modules and folders of a room from the lowest up: each imports itself and those below.
ENGINE = (
    ("errors", "events", "jobs", "format"),
    ("arrival",),
    ("audio",),
    ("speech",),
    ("model",),
    ("spans",),
    ("scoring",),
    ("decisions",),
    (
        "pipeline",
        "requests",
        "suspicions",
        "sound_quality",
        "items",
        "session_config",
        "enrolment_demands",
    ),
    ("hearing",),
    ("session", "enrolment", "serving"),
    ("recordings",),
)
MODELS = (
    ("metrics",),
    ("network", "sound"),
    ("training", "calibration", "evaluation"),
    ("benchmark",),
    ("commands",),
    ("cli",),
)
LAYERS = {"engine": ENGINE, "models": MODELS}
# Those that have a list of their own instead. Serving runs conversations and knows nothing of
# decisions; the server knows the wire and no client.
MAY = {
    "engine.serving": {"errors", "events", "jobs", "format", "arrival", "audio", "speech", "model"},
    "streamer.tasks": set(),
    "streamer.addresses": set(),
    "streamer.wire": set(),
    "streamer.records": {"database", "wire", "store"},
    "streamer.exams": {"database", "store"},
    # What is held of a person is held there, too: access by the person reads it.
    "streamer.reports": {"records", "exams", "store", "wire", "edx", "lti"},
    "streamer.backup": {"database", "edx", "exams", "lti", "records", "store"},
    "streamer.edx": {"database", "exams", "records", "wire"},
    "streamer.lti": {"database", "exams", "records", "store", "wire", "addresses"},
    "streamer.database": set(),
    "streamer.store": {"database"},
    "streamer.sources": set(),
    # The configuration holds the server's tokens, and the server is given a configuration.
    "streamer.config": {"wire", "store", "addresses", "server", "records", "lti"},
    "streamer.config_sources": {"config", "server", "records", "lti"},
    "streamer.session_config": {"config", "wire"},
    "streamer.server": {
        "edx",
        "exams",
        "lti",
        "records",
        "reports",
        "wire",
        "store",
        "config",
        "session_config",
        "tasks",
        "addresses",
    },
    "streamer.local": {"config", "database", "store"},
    "streamer.bench": {"store", "commands"},  # a measurement is given the options of its command
    "streamer.commands": {"wire", "store", "sources", "server", "local", "bench"}
    | {
        "config",
        "config_sources",
        "session_config",
        "tasks",
        "lti",
        "exams",
        "records",
        "reports",
        "backup",
    },
    "streamer.cli": {"commands"},
}
# What is reached across rooms by name, and why that is no import.
ACROSS = {
    # Finds the folder in which the default bundle lies; none of its code is loaded.
    "engine.model.bundle": {"models"},
    # Loads the offline commands when one of them is called.
    "streamer.cli": {"models.cli"},
}
CALLERS = ("streamer.commands", "streamer.bench")  # use the client, as any program would


def modules(room: str) -> list[Path]:
    return sorted(((CLIENT if room == "voxwatch_client" else ROOT) / room).rglob("*.py"))


def named(path: Path) -> str:
    root = CLIENT if path.is_relative_to(CLIENT) else ROOT
    return ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")


def imported(source: str, package: str) -> Iterator[str]:
    """Full names of everything that a module of ``package`` imports, wherever in it."""
    tree = ast.parse(source)
    by_name, run = set(BY_NAME), set(RUN)
    called: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1]
            module = ".".join([*above, node.module or ""] if node.level else [node.module or ""])
            yield from (f"{module.rstrip('.')}.{alias.name}" for alias in node.names)
            by_name |= {a.asname for a in node.names if a.name in BY_NAME and a.asname}
            run |= {a.asname for a in node.names if a.name in RUN and a.asname}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _last(node.func) in by_name:
            called.add(id(node.func))
            given = [*node.args, *(word.value for word in node.keywords)]
            name = given[0] if given else None
            literal = isinstance(name, ast.Constant) and isinstance(name.value, str)
            yield name.value.partition(":")[0] if literal else UNREADABLE
    for node in ast.walk(tree):  # the function itself, handed on to be called elsewhere
        if id(node) not in called and _last(node) in by_name:
            yield UNREADABLE
        if _last(node) in run and not _method(node):
            yield UNREADABLE


def _method(node: ast.AST) -> bool:
    """Whether this is a method like PyTorch's ``eval``, and not the function of ``builtins``."""
    if not (isinstance(node, ast.Attribute) and node.attr in BUILTIN):
        return False
    return _last(node.value) not in ("builtins", "__builtins__")


def _last(node: ast.AST) -> str | None:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else None


def refused(module: str, source: str, *, package: bool = False) -> list[str]:
    """What ``module`` imports and may not."""
    inside = module if package else module.rpartition(".")[0]
    found = (name for name in imported(source, inside) if not name.startswith("__future__"))
    return sorted({name for name in found if not _may(module, name)})


def _plug(name: str) -> str | None:
    """The plug that a module of the client is, or is in."""
    return next((plug for plug in PLUGS if name == plug or name.startswith(f"{plug}.")), None)


def _may(module: str, name: str) -> bool:
    room, part = _place(module)
    other, its_part = _place(name)
    if name == UNREADABLE:
        return False
    if room == "voxwatch_client":
        ours, theirs = _plug(module), _plug(name)
        allowed = CLIENT_MAY | STDLIB | BROUGHT.get(ours or "", set())
        return theirs in (None, ours) and (other in allowed or other == PLUGS.get(ours or ""))
    if other not in OURS:
        outside = ENGINE_MAY | STDLIB if room == "engine" else None
        return other in outside if outside else room != "streamer" or other not in NEVER_SERVED
    if name in ACROSS.get(module, ()):
        return True
    if other == "voxwatch_client":
        return f"{room}.{part}" in CALLERS
    if other != room:
        return other == "engine"
    if not part or not its_part or its_part == part:
        return True
    allowed = MAY.get(f"{room}.{part}")
    if allowed is not None:
        return its_part in allowed
    assert room in LAYERS, f"{module} has no list of what it may import in this test: give it one"
    return _layer(LAYERS[room], its_part) < _layer(LAYERS[room], part)


def _place(module: str) -> tuple[str, str]:
    """The room and the module or folder in it."""
    room, _, rest = module.partition(".")
    return room, rest.partition(".")[0]


def _layer(layers: tuple[tuple[str, ...], ...], part: str) -> int:
    found = [number for number, names in enumerate(layers) if part in names]
    assert found, f"{part} has no place among the layers of this test: give it one"
    return found[0]


def test_the_search_finds_every_way_to_import() -> None:
    source = """
import a.b as c
from d.e import f
from . import sibling
from .near import one
from .. import above
from importlib import import_module as load
def late():
    import g
    importlib.import_module("h.i")
    importlib.util.find_spec(name="k")
    __import__("j")
    load("l.m")
    runpy.run_module("n.o")
    pkgutil.resolve_name("p.q:r.s")
    network.eval()
"""
    expected = {"a.b", "d.e.f", "room.part.sibling", "room.part.near.one", "room.above"}
    expected |= {"importlib.import_module", "g", "h.i", "k", "j", "l.m", "n.o", "p.q"}
    assert set(imported(source, "room.part")) == expected


@pytest.mark.parametrize(
    "source",
    [
        "import_module(name)",
        "importlib.import_module(f'models.{name}')",
        "__import__('mod' + 'els')",
        "find_spec(*names)",
        "load = importlib.import_module",
        "for name in map(__import__, names): pass",
        "getattr(importlib.import_module(BACKEND), 'run')",
        "pkgutil.resolve_name(BACKEND)",
        "runpy.run_module(BACKEND)",
        "runpy.run_path('models/cli.py')",
        "from runpy import run_path as load\nload('models/cli.py')",
        "exec('import models')",
        "eval('__import__(\"models\")')",
        "builtins.exec(source)",
        "spec_from_file_location('models', path)",
    ],
)
def test_a_name_that_cannot_be_read_is_refused(source: str) -> None:
    assert UNREADABLE in refused("engine.session", source)


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("engine.session", "streamer.wire"),
        ("engine.session", "models.metrics"),
        ("engine.session", "torch"),
        ("engine.model.bundle", "engine.decisions.tracker"),
        ("engine.audio.files", "engine.speech.vad"),
        ("engine.speech.gate", "engine.model.bundle"),
        ("engine.jobs", "engine.speech.vad"),
        ("engine.serving.engine", "engine.decisions.tracker"),
        ("engine.serving.engine", "engine.session"),
        ("engine.decisions.tracker", "engine.serving.engine"),
        ("streamer.server.server", "voxwatch_client.stream"),
        ("voxwatch_client.stream", "streamer.server.server"),
        ("streamer.wire.messages", "streamer.server.hub"),
        ("streamer.store.store", "streamer.config"),
        ("streamer.database.engine", "streamer.store.store"),
        ("streamer.sources.file", "streamer.wire.messages"),
        ("streamer.local.replay", "streamer.server.server"),
        ("streamer.local.replay", "streamer.commands.options"),
        ("voxwatch_client.stream", "engine.events"),
        ("voxwatch_client.stream", "numpy"),
        ("voxwatch_client.gate", "pipecat.frames"),
        ("voxwatch_client.gate", "voxwatch_client.pipecat"),
        ("voxwatch_client.openai_agents", "pipecat.frames"),
        ("voxwatch_client.mcp.server", "livekit.agents"),
        ("voxwatch_client.gate", "starlette.responses"),
        ("voxwatch_client.gate", "voxwatch_client.mcp.server"),
        ("engine.session", "voxwatch_client.messages"),
        ("models.training.train", "voxwatch_client.messages"),
        ("streamer.cli", "streamer.server.server"),
        ("streamer.server.server", "models.cli"),
        ("streamer.server.server", "torch"),
        ("models.network.export", "models.training.train"),
        ("models.network.export", "models.sound.corpus"),
        ("models.evaluation.report", "models.benchmark.run"),
        ("models.training.train", "streamer.config"),
    ],
)
def test_what_may_not_be_imported_is_refused_however_it_is_done(module: str, name: str) -> None:
    above, _, last = name.rpartition(".")
    ways = [f"import {name}", f"def late():\n    import {name}", f"import_module({name!r})"]
    ways += [f"importlib.util.find_spec({name!r})", f"__import__({name!r})"]
    ways += [f"from {above} import {last}"] if above else []
    for source in ways:
        assert refused(module, source) == [name], source


def test_a_relative_import_is_read_as_what_it_means() -> None:
    assert refused("engine.model.bundle", "from ..decisions import tracker") != []
    assert refused("engine.model", "from .. import decisions", package=True) != []
    assert refused("engine.model", "from ..speech import vad", package=True) == []
    assert refused("engine.model.bundle", "from . import manifest") == []


@pytest.mark.parametrize("path", [p for room in SEARCHED for p in modules(room)], ids=named)
def test_a_module_imports_only_what_it_may(path: Path) -> None:
    assert refused(named(path), path.read_text(), package=path.name == "__init__.py") == []


def test_every_room_is_searched() -> None:
    assert all(len(modules(room)) > 1 for room in SEARCHED)


def test_serving_leaves_torch_alone() -> None:
    """Whatever is imported, directly or by a dependency, by all of engine and streamer."""
    rooms = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for room in ("engine", "streamer")
        for path in modules(room)
        if path.name != "__main__.py"
    ]
    loaded = _modules_after("".join(f"import {name}\n" for name in rooms))
    assert "engine.speech.vad" in loaded
    assert not loaded & {"torch", "torchaudio", "scipy", "models"}


@pytest.mark.parametrize("argument", ["--help", "--version"])
def test_help_loads_no_offline_command(argument: str) -> None:
    loaded = _modules_after(_command(argument))
    assert "streamer.cli" in loaded
    assert not loaded & {"torch", "models", "onnxruntime"}


def test_verifying_leaves_torch_alone(spectral_bundle: Bundle, speak: Callable[..., Path]) -> None:
    enroll, test = speak("a.wav", "anna"), speak("b.wav", "anna", seed=1)
    arguments = ["--enroll", enroll, "--test", test, "--bundle", spectral_bundle.folder]
    loaded = _modules_after(_command("verify", *map(str, arguments)))
    assert "models.evaluation.verify" in loaded
    assert not loaded & {"torch", "torchaudio", "scipy", "silero_vad"}


def _command(*arguments: str) -> str:
    return (
        f"import sys; sys.argv = ['voxwatch', *{list(arguments)!r}]\n"
        "from streamer.cli import main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code, end.code\n"
    )


def _modules_after(code: str) -> set[str]:
    """Names in ``sys.modules`` after ``code`` ran in a fresh interpreter."""
    report = f"{code}\nimport sys; print(chr(10) + ' '.join(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", report],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    return set(done.stdout.splitlines()[-1].split())
