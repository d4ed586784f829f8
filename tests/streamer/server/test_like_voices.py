"""Whoever enrols and sounds like somebody else: that is told, and who did it is noted."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
from typer.testing import CliRunner

from streamer.cli import app
from streamer.config import Config
from streamer.server.auth import Token
from streamer.server.server import Server

CONSENT = {"given": True, "text_version": "2026-11"}


async def test_an_enrolment_names_those_who_sound_alike(
    server: Server, dial: Any, enrol: Any, pcm: Any
) -> None:
    enrol(server, "Hanna", sounds_like="anna")
    enrol(server, "bert")
    async with dial(server, "/v1/enroll") as client:
        await client.say(type="start", name="anna", consent=CONSENT)
        await client.sound(pcm("anna", 13.0))
        await client.say(type="finalize")
        assert await client.rest() == 1000
    assert client.seen[-1]["like_voices"] == ["Hanna"]
    async with dial(server, "/v1/control") as control:
        told = {name: await control.ask(type="profile", name=name) for name in ("Hanna", "bert")}
    assert told["Hanna"]["like_voices"] == ["anna"]
    assert told["bert"]["like_voices"] == []


async def test_acts_are_noted_with_the_token_that_allowed_them(
    settings: Callable[..., Config], dial: Any, pcm: Any
) -> None:
    digest = {name: hashlib.sha256(name.encode()).hexdigest() for name in ("one", "two")}
    tokens = (
        Token(name="desk", roles=("enrol",), sha256=digest["one"]),
        Token(name="head", roles=("admin",), sha256=digest["two"]),
    )
    desk, head = (f"token {t.name} ({t.sha256[:8]})" for t in tokens)
    async with Server(settings(tokens=tokens), drain_s=1.0) as server:
        bearer = {"Authorization": "Bearer one"}
        async with dial(server, "/v1/control", headers=bearer) as control:
            minted = await control.ask(type="url_token", role="enrol")
        for name, how in (("anna", {"headers": bearer}), ("bert", {"token": minted["token"]})):
            async with dial(server, "/v1/enroll", **how) as client:
                await client.say(type="start", name=name, consent=CONSENT)
                await client.sound(pcm("anna", 13.0))
                await client.say(type="finalize")
                assert await client.rest() == 1000
                assert client.seen[-1]["type"] == "enrolled"
        async with dial(server, "/v1/control") as control:
            await control.ask(type="authenticate", token="two")
            await control.ask(type="export", name="anna")
            await control.ask(type="delete", name="anna")
        acts = server.context.store.acts()
    assert [(act.act, act.who) for act in acts] == [
        ("enrol", desk),
        ("enrol", desk),
        ("export", head),
        ("delete", head),
    ]


def test_the_command_warns_too(
    tmp_path: Path, voice: Callable[..., Any], spectral_bundle: Any
) -> None:
    env = {
        "VOXWATCH_DATA_DIR": str(tmp_path / "data"),
        "VOXWATCH_BUNDLE": str(spectral_bundle.folder),
        "VOXWATCH_PROVIDER": "cpu",
        "VOXWATCH_CONFIG": "",
    }

    def enroll(name: str, sounds_like: str, seed: int, *more: str) -> Any:
        quiet = np.random.default_rng(seed).normal(0, 1e-3, 8_000)  # to measure the noise by
        sound = np.concatenate([quiet, voice(sounds_like, 25.0, seed=seed), quiet])
        sf.write(path := tmp_path / "voice.wav", sound, 16_000, subtype="FLOAT")
        words = ["enroll", name, str(path), "--consent", *more]
        done = CliRunner(env=env).invoke(app, words)
        assert done.exit_code == 0, done.output
        return done

    assert "warning" not in enroll("anna", "anna", 1).stderr
    assert "warning" not in enroll("bert", "bert", 2).stderr
    done = enroll("Hanna", "anna", 3)
    assert "warning: Hanna sounds like anna, who is enrolled" in done.stderr
    stored = json.loads(enroll("Johanna", "anna", 4, "--json").stdout.splitlines()[-1])
    assert sorted(stored["like_voices"]) == ["Hanna", "anna"]


@pytest.mark.parametrize("bearer", [None, "three"])
async def test_who_shows_no_token_is_noted_as_such(server: Server, bearer: str | None) -> None:
    assert server.context.auth.grant(bearer, time.time()).who == "somebody without a token"
