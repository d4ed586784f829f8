"""People whose voices are drawn at random, to be enrolled, and a whole file system to look into."""

from __future__ import annotations

import contextlib
import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np

from engine.scoring.voiceprints import Prototype
from streamer.store.profile import Consent, Profile
from streamer.store.store import Store

KEY = bytes(range(32))
MODEL = {"model_name": "tiny 1", "model_sha256": "ab" * 32}
CONSENT = Consent("2026-11", 900.0)
NOW = 1000.0


def prototype(seed: int, speech_s: float = 20.0, size: int = 192) -> Prototype:
    embedding = np.random.default_rng(seed).standard_normal(size)
    return Prototype((embedding / np.linalg.norm(embedding)).astype(np.float32), speech_s)


def enrol(store: Store, name: str, *seeds: int, **more: Any) -> Profile:
    """``enrol(store, "Anna", 1, 2)``: two prototypes, drawn by these seeds."""
    arguments = {"consent": CONSENT, "ttl_s": None, "now": NOW, **MODEL, **more}
    return store.add(name, [prototype(seed) for seed in seeds or (1,)], **arguments)


class Disk:
    """An ext4 file system in a file: what the drive itself would show."""

    def __init__(self, image: Path, folder: Path) -> None:
        self.image, self.folder = image, folder

    def raw(self) -> bytes:
        """Every byte of it, after all that is under way has been written."""
        os.sync()
        subprocess.run(["blockdev", "--flushbufs", str(self.image)], check=False, stderr=-3)
        return self.image.read_bytes()

    def remount(self, mode: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{mode}", str(self.folder)], check=True)

    def fill(self) -> None:
        """Take all the room there is."""
        with contextlib.suppress(OSError), (self.folder / "filler").open("wb", buffering=0) as file:
            for size in (1 << 16, 1 << 10, 1):
                with contextlib.suppress(OSError):
                    while file.write(b"\xee" * size):
                        pass
        os.sync()
