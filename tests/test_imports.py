"""The import table of the rooms, enforced: who may import whom, and serving without torch."""

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
OURS = ("engine", "streamer", "models", "web", "scripts", "tests")
STDLIB = sys.stdlib_module_names
ENGINE_MAY = {"engine", "numpy", "onnxruntime", "msgspec", "soxr", "soundfile"}
STREAMER_MAY = {"engine", "streamer"}
MODELS_MAY = {"engine", "models"}


def modules(room: str) -> list[Path]:
    return sorted((ROOT / room).rglob("*.py"))


def imported(source: str, package: str) -> Iterator[str]:
    """Top-level names of everything a module imports, wherever in it, by name too."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield package if node.level else (node.module or "").partition(".")[0]
        elif isinstance(node, ast.Call) and node.args:
            called = ast.unparse(node.func)
            named = node.args[0]
            if called.endswith(("import_module", "__import__")) and isinstance(named, ast.Constant):
                yield str(named.value).partition(".")[0]


def names(path: Path) -> set[str]:
    return set(imported(path.read_text(), path.relative_to(ROOT).parts[0])) - {"__future__"}


def test_the_search_finds_every_way_to_import() -> None:
    source = """
import a.b as c
from d.e import f
from . import sibling
def late():
    import g
    importlib.import_module("h.i")
    __import__("j")
"""
    assert set(imported(source, "room")) == {"a", "d", "room", "g", "h", "j"}


@pytest.mark.parametrize("path", modules("engine"), ids=lambda p: p.name)
def test_engine_imports_little_and_nothing_of_ours(path: Path) -> None:
    assert names(path) - STDLIB <= ENGINE_MAY


@pytest.mark.parametrize("path", modules("streamer"), ids=lambda p: p.name)
def test_streamer_imports_only_engine_of_ours_and_never_torch(path: Path) -> None:
    assert names(path) & set(OURS) <= STREAMER_MAY
    assert not names(path) & {"torch", "torchaudio", "scipy"}


@pytest.mark.parametrize("path", modules("models"), ids=lambda p: p.name)
def test_models_never_imports_streamer(path: Path) -> None:
    assert names(path) & set(OURS) <= MODELS_MAY


def test_every_room_is_searched() -> None:
    assert all(len(modules(room)) > 1 for room in ("engine", "streamer", "models"))


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
