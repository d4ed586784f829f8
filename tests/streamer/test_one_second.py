"""ARCHITECTURE.md's page on one second of sound, held to the files that run while one is heard."""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from streamer.config import Config
from streamer.server.server import Server

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "ARCHITECTURE.md").read_text().partition("## Rooms")[0]
MOST_FILES = 20  # on the way itself
# What the server does every second or so, whether or not sound comes (a claim is made anew where it
# finds that the store has changed), and the thread that writes
# the record: no part of the way.
AROUND = re.compile(
    r"streamer/(store/|database/|exams/)"
    r"|streamer/server/(server|streams|voiceprint_cache|claim|metrics|seats|seen|viewings)\.py"
    r"|streamer/records/(?!recorder|references|writer|incidents)|streamer/server/record_\w+\.py"
    r"|engine/model/m"
    r"|streamer/server/limits/(admission|capacity)\.py|engine/serving/engine\.py"  # by the clock
)


class Entered:
    """Our files in which a function was entered, in the order of the first time, while ``on``."""

    def __init__(self) -> None:
        self.on = False
        self.files: dict[str, None] = {}

    def __call__(self, frame: FrameType, event: str, _: Any) -> None:
        if self.on and event == "call":
            path = Path(frame.f_code.co_filename)
            if path.is_relative_to(ROOT) and path.parts[len(ROOT.parts)] in ("engine", "streamer"):
                self.files.setdefault(path.relative_to(ROOT).as_posix())


@pytest.fixture
def entered() -> Iterator[Entered]:
    watch = Entered()
    threading.setprofile(watch)  # of the inference threads, which start with the server
    sys.setprofile(watch)
    try:
        yield watch
    finally:
        sys.setprofile(None)
        threading.setprofile(None)  # type: ignore[arg-type]  # as its documentation allows


async def test_the_files_that_a_second_of_sound_enters_are_those_on_the_page(
    entered: Entered, settings: Callable[..., Config], dial: Any, enrol: Any, pcm: Any
) -> None:
    way = set(re.findall(r"^ ((?:engine|streamer)/[\w/]+\.py)", PAGE, re.MULTILINE))
    called = set(re.findall(r"`(\w+)`", PAGE[PAGE.index("These call") : PAGE.index("A recording")]))
    async with Server(settings(), drain_s=1.0) as server:
        enrol(server, "anna")
        async with dial(server, claim="anna") as client:
            await client.sound(pcm("anna", 6.0))
            await client.until("decision", state="match")
            await client.until("score", net_speech_s=5.5)  # the last one of this sound
            entered.on = True
            await client.sound(pcm("anna", 1.0, seed=3), piece=3200)
            for net_speech_s in (6.0, 6.5):
                await client.until("score", net_speech_s=net_speech_s)
            entered.on = False
    seen = {file for file in entered.files if not AROUND.match(file)}
    assert len(way) <= MOST_FILES
    assert way - seen == set()
    assert {Path(file).stem for file in seen - way} - called == set()
