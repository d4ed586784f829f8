"""Each check says what is there, or what is wrong and what to do; none of them raises."""

from __future__ import annotations

import asyncio
import ctypes
import os
import re
import shutil
import socket
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import onnxruntime as ort
import pytest
from postgresql import QUOTED_PASSWORD

from engine.errors import ProviderError
from engine.model.bundle import Bundle, write_bundle
from engine.model.manifest import MODEL_FILE
from engine.scoring.voiceprints import Prototype
from streamer.config import Config
from streamer.local import doctor
from streamer.local.doctor import RELEASED, Check, check_all
from streamer.local.runtime import Runtime
from streamer.server.auth import Token
from streamer.server.server import Server
from streamer.store.keys import KEY_FILE, PERSON_KEYS_FILE, STORE_FILE, load_key
from streamer.store.profile import Consent
from streamer.store.store import Store

NOW = RELEASED.timestamp() + 1e6


@pytest.fixture
def config(tmp_path: Path, spectral_bundle: Bundle) -> Config:
    return Config(data_dir=tmp_path / "data", port=0, bundle=spectral_bundle.folder)


@pytest.fixture
def driverless(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without a GPU, whatever this one is."""
    monkeypatch.setattr(doctor, "CUDA_DRIVER", "libcuda-of-no-machine.so.1")


def said(checks: Iterator[Check]) -> dict[str, Check]:
    return {check.name: check for check in checks}


def sounddevice(monkeypatch: pytest.MonkeyPatch, query: Any) -> None:
    module = SimpleNamespace(query_devices=query, PortAudioError=type("Failure", (Exception,), {}))
    monkeypatch.setitem(sys.modules, "sounddevice", module)


@pytest.mark.usefixtures("driverless")
def test_a_fresh_machine_has_nothing_wrong(config: Config, monkeypatch: Any) -> None:
    sounddevice(monkeypatch, lambda: [])
    config = msgspec.structs.replace(config, provider="cpu")
    checks = said(check_all(config, {}, NOW))
    assert [name for name, check in checks.items() if check.ok] == [
        "onnxruntime",
        "model",
        "provider cpu",
        "database",
        "exposure",
        "port",
        "clock",
    ]
    assert not [check for check in checks.values() if check.ok is False]
    assert not config.data_dir.exists()


# The microphone


def test_without_portaudio_it_says_how_to_get_it(tmp_path: Path, monkeypatch: Any) -> None:
    (tmp_path / "sounddevice.py").write_text("raise OSError('PortAudio library not found')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    check = doctor.microphone()
    assert (check.ok, check.detail) == (False, "PortAudio library not found")
    assert "apt install libportaudio2" in check.advice


def test_without_the_package_it_says_so(monkeypatch: Any) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    check = doctor.microphone()
    assert check.ok is False
    assert "sounddevice" in check.detail


def test_microphones_are_named(monkeypatch: Any) -> None:
    devices = [
        {"name": "Speakers", "max_input_channels": 0},
        {"name": "USB microphone", "max_input_channels": 1},
    ]
    sounddevice(monkeypatch, lambda: devices)
    assert doctor.microphone() == Check("microphone", True, "1 found: USB microphone")
    sounddevice(monkeypatch, lambda: devices[:1])
    assert doctor.microphone().ok is None


def test_a_sound_system_that_fails_is_told(monkeypatch: Any) -> None:
    def fail() -> None:
        raise sys.modules["sounddevice"].PortAudioError("Error querying device -1")

    sounddevice(monkeypatch, fail)
    check = doctor.microphone()
    assert (check.ok, check.detail) == (False, "Error querying device -1")


# Model and providers


def test_it_says_what_a_gpu_needs() -> None:
    check = doctor.runtime(Runtime(("onnxruntime-gpu",), "1.31.1", cuda="13.0", cudnn="9"))
    assert check.ok
    assert check.detail.startswith("onnxruntime-gpu 1.31.1; a GPU needs")
    assert "CUDA 13.0 and cuDNN 9" in check.detail
    assert "`gpu`" in check.detail


def test_an_onnxruntime_without_gpus_is_in_order() -> None:
    check = doctor.runtime(Runtime(("onnxruntime",), "1.32.0"))
    assert check == Check("onnxruntime", True, "onnxruntime 1.32.0, which uses no NVIDIA GPU")


def test_two_that_overwrite_each_other_are_wrong() -> None:
    check = doctor.runtime(Runtime(("onnxruntime", "onnxruntime-gpu"), "1.31.1", cuda="13.0"))
    assert check.ok is False
    assert "pip uninstall onnxruntime onnxruntime-gpu" in check.advice


@pytest.mark.usefixtures("driverless")
def test_the_model_is_checked_and_timed(config: Config) -> None:
    checks = said(doctor.model(config))
    assert checks["model"].ok
    assert re.search(
        r"spectral 1 .*; 3 s of sound embedded in \d+ ms on cpu", checks["model"].detail
    )
    assert checks["provider cpu"] == Check("provider cpu", True, "runs the model")
    for provider in ("cuda", "tensorrt"):
        check = checks[f"provider {provider}"]
        assert check.ok is None
        assert "no NVIDIA driver" in check.detail or "built without it" in check.detail
    assert "calibration" not in checks


def test_a_changed_model_is_told(config: Config, tmp_path: Path) -> None:
    assert config.bundle is not None
    folder = tmp_path / "changed"
    shutil.copytree(config.bundle, folder)
    (folder / MODEL_FILE).write_bytes(b"changed")
    checks = said(doctor.model(msgspec.structs.replace(config, bundle=folder)))
    assert list(checks) == ["model"]
    assert checks["model"].ok is False
    assert "sha256" in checks["model"].detail


def test_a_missing_model_is_told(config: Config, tmp_path: Path) -> None:
    checks = said(doctor.model(msgspec.structs.replace(config, bundle=tmp_path / "none")))
    assert "there is no model bundle" in checks["model"].detail


def test_an_uncalibrated_model_is_told(
    config: Config, spectral_bundle: Bundle, tmp_path: Path
) -> None:
    manifest = msgspec.structs.replace(spectral_bundle.manifest, calibration=None)
    bundle = write_bundle(tmp_path / "raw", manifest, spectral_bundle.model_files())
    checks = said(doctor.model(msgspec.structs.replace(config, bundle=bundle.folder)))
    assert (checks["model"].ok, checks["calibration"].ok) == (True, False)


def test_a_provider_asked_for_by_name_must_run(config: Config, monkeypatch: Any) -> None:
    monkeypatch.setattr(ort, "get_available_providers", lambda: ["CPUExecutionProvider"])
    checks = said(doctor.model(msgspec.structs.replace(config, provider="cuda")))
    assert checks["model"].ok is False
    assert "'cuda' cannot run here" in checks["model"].detail


def test_a_provider_that_fails_to_start_says_why(config: Config, monkeypatch: Any) -> None:
    """A driver without the libraries that go with it."""

    def fail(bundle: Bundle, provider: str, threads: int) -> None:
        raise ProviderError(f"the provider {provider!r} failed to start: no libcudnn")

    config = msgspec.structs.replace(config, provider="cpu")
    monkeypatch.setattr(ort, "get_available_providers", lambda: list(doctor.PROVIDERS.values()))
    monkeypatch.setattr(ctypes, "CDLL", lambda name: None)
    monkeypatch.setattr(doctor, "open_session", fail)
    check = said(doctor.model(config))["provider cuda"]
    assert check.ok is None
    assert check.detail.endswith("no libcudnn")
    assert check.advice


# The store


def test_the_database_is_named_without_its_password(config: Config, postgresql_url: str) -> None:
    assert doctor.database(config).detail.startswith("SQLite 3")
    check = doctor.database(msgspec.structs.replace(config, database=postgresql_url))
    assert check.ok
    assert re.match(r"PostgreSQL \d+.* at postgresql://voxwatch@127.0.0.1:\d+/test_", check.detail)
    nobodys = re.sub(r":\d+/", ":1/", postgresql_url)
    check = doctor.database(msgspec.structs.replace(config, database=nobodys))
    assert check.ok is False
    assert "cannot reach the database postgresql://voxwatch@127.0.0.1:1/" in check.detail
    assert QUOTED_PASSWORD not in check.detail
    assert not config.data_dir.exists()


def enrol(config: Config) -> None:
    embedding = np.eye(4, dtype=np.float32)[0]
    with Store.open(config.data_dir, load_key(config.data_dir, env={})) as store:
        store.add(
            "Anna",
            [Prototype(embedding, 20.0)],
            consent=Consent("1", NOW),
            model_name="m",
            model_sha256="ab",
            ttl_s=None,
            now=NOW,
        )


def test_a_store_is_opened_and_counted(config: Config) -> None:
    assert doctor.store(config, {}, NOW).ok is None
    enrol(config)
    check = doctor.store(config, {}, NOW)
    assert check.ok
    assert check.detail.startswith("1 enrolled, the key fits")


def test_a_wrong_or_missing_key_is_told(config: Config) -> None:
    enrol(config)
    check = doctor.store(config, {"VOXWATCH_KEY": "A" * 43 + "="}, NOW)
    assert check.ok is False
    assert "this key is not the one" in check.detail
    (config.data_dir / KEY_FILE).unlink()
    check = doctor.store(config, {}, NOW)
    assert check.ok is False
    assert "restore the key file" in check.detail
    assert not (config.data_dir / KEY_FILE).exists()


def test_a_database_that_cannot_be_reached_is_not_laid_to_the_key(
    config: Config, postgresql_url: str
) -> None:
    enrol(config)
    nobodys = re.sub(r":\d+/", ":1/", postgresql_url)
    check = doctor.store(msgspec.structs.replace(config, database=nobodys), {}, NOW)
    assert check.ok is False
    assert "cannot reach the store of voiceprints postgresql://voxwatch@127.0.0.1" in check.detail
    assert "check that the server runs, and what the setting `database` says" in check.detail
    assert KEY_FILE not in check.advice
    assert QUOTED_PASSWORD not in check.detail


def test_a_damaged_database_is_not_laid_to_the_key(config: Config) -> None:
    enrol(config)
    (config.data_dir / STORE_FILE).write_bytes(b"not a database, but long enough" * 200)
    check = doctor.store(config, {}, NOW)
    assert check.ok is False
    assert "restore it from a backup" in check.detail
    assert KEY_FILE not in check.detail + check.advice


def test_a_folder_that_takes_no_store_is_told(config: Config, monkeypatch: Any) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    check = doctor.store(config, {}, NOW)
    assert (check.ok, check.advice) == (False, "set another data_dir")


# Exposure, port, clock


def test_exposure_is_told(config: Config, tmp_path: Path) -> None:
    assert doctor.exposure(config).ok
    check = doctor.exposure(msgspec.structs.replace(config, host="0.0.0.0"))
    assert check.ok is False
    assert "[[tokens]]" in check.detail
    (tmp_path / "cert.pem").write_text("no certificate")
    tls = {"tls_cert": tmp_path / "cert.pem", "tls_key": tmp_path / "none.pem"}
    check = doctor.exposure(msgspec.structs.replace(config, **tls))
    assert check.ok is False
    assert check.detail.startswith("TLS cannot start")


def test_tokens_that_expire_soon_are_told(config: Config) -> None:
    def known(name: str, days: float | None) -> Token:
        end = None if days is None else datetime.fromtimestamp(NOW + days * 86400.0, UTC)
        return Token(name=name, roles=("stream",), sha256="ab" * 32, expires=end)

    later = msgspec.structs.replace(config, tokens=(known("bus", None), known("boss", 30.0)))
    assert doctor.tokens(later, NOW).ok
    soon = msgspec.structs.replace(config, tokens=(known("desk", 3.0), known("old", -3.0)))
    check = said(check_all(soon, {}, NOW))["tokens"]
    assert check.ok is None
    assert "token desk expires in 3 days" in check.detail
    assert "token old expired on" in check.detail
    assert "voxwatch token new" in check.advice


def test_a_port_in_use_is_told(config: Config) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        config = msgspec.structs.replace(config, port=taken.getsockname()[1])
        taken.close()
        assert doctor.port(config).ok
    with socket.create_server(("127.0.0.1", config.port)) as taken:
        taken.settimeout(5)
        threading.Thread(target=_hang_up, args=(taken,)).start()
        check = doctor.port(config)
    assert check.ok is False
    assert "Address already in use" in check.detail
    assert "another host or port" in check.advice


def _hang_up(listening: socket.socket) -> None:
    listening.accept()[0].close()


async def test_a_server_of_ours_is_no_trouble(server: Server, config: Config) -> None:
    port = int(server.url.rpartition(":")[2])
    check = await asyncio.to_thread(doctor.port, msgspec.structs.replace(config, port=port))
    assert check.ok is None
    assert "a voxwatch server answers there" in check.detail


@pytest.mark.parametrize("host", ["256.1.1.1.", "no host"])
def test_a_host_that_is_none_is_told(config: Config, host: str) -> None:
    check = doctor.port(msgspec.structs.replace(config, host=host))
    assert check.ok is False
    assert "set host" in check.advice


def test_a_port_of_the_system_is_told(config: Config, monkeypatch: Any) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", refuse)
    check = doctor.port(msgspec.structs.replace(config, port=80))
    assert (check.ok, check.advice) == (False, "set port to 1024 or above")


def test_a_clock_that_was_never_set_is_told(config: Config) -> None:
    check = doctor.clock(config, 0.0)
    assert check.ok is False
    assert "1970-01-01 00:00:00 UTC" in check.detail


def test_a_clock_that_went_back_is_told(config: Config) -> None:
    assert doctor.clock(config, NOW).ok
    enrol(config)
    for name in (KEY_FILE, PERSON_KEYS_FILE, STORE_FILE):
        os.utime(config.data_dir / name, (NOW, NOW))
    assert doctor.clock(config, NOW + 1).ok
    check = doctor.clock(config, NOW - 3600)
    assert check.ok is False
    assert "younger" in check.detail
