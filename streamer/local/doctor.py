"""`voxwatch doctor`: what an installation needs, checked one by one.

Every check answers, whatever fails below it. No key and no store is made, nothing is left
listening; a store of an older format is brought over, as whoever opens it does.
"""

from __future__ import annotations

import contextlib
import ctypes
import http.client
import os
import socket
import sqlite3
import ssl
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus

import numpy as np
import onnxruntime as ort

from engine.errors import ProviderError, VoxwatchError
from engine.format import SAMPLE_RATE_HZ
from engine.model.bundle import load_bundle
from engine.model.encoder import Encoder
from engine.model.providers import CUDA_DRIVER, PROVIDERS, Provider, open_session
from engine.speech.vad import SileroVad
from streamer.config import Config, check_exposure
from streamer.database import described, explained, open_database
from streamer.local.runtime import Runtime, installed_runtime
from streamer.store.errors import Inconsistent, WrongKey
from streamer.store.keys import KEY_FILE, PERSON_KEYS_FILE, STORE_FILE, KeyFileError, has_store
from streamer.store.store import Store

RELEASED = datetime(2026, 11, 1, tzinfo=UTC)  # a clock that shows less was never set
SKEW_S = 60.0  # a file may be this much younger than now: network file systems have own clocks
TIMED_S = 3.0  # of sound in the embedding that is timed: the usual window
PROBE_S = 1.0


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the report. ``ok`` is None where nothing is wrong but something is lacking.

    ``advice`` says what to do, or is empty.
    """

    name: str
    ok: bool | None
    detail: str
    advice: str = ""


def check_all(config: Config, env: Mapping[str, str], now: float) -> Iterator[Check]:
    """All checks, each as soon as it is done; ``now`` in seconds since 1970."""
    yield microphone()
    yield runtime(installed_runtime())
    yield from model(config)
    yield database(config)
    yield store(config, env, now)
    yield exposure(config)
    if config.tokens:
        yield tokens(config, now)
    yield port(config)
    yield clock(config, now)


def microphone() -> Check:
    """Whether this machine has one: only `voxwatch listen` needs it."""
    name = "microphone"
    try:
        import sounddevice
    except (ImportError, OSError) as error:  # OSError: the package is there, PortAudio is not
        advice = "install PortAudio (Debian, Ubuntu: apt install libportaudio2; macOS: brew"
        return Check(name, False, _first_line(error), f"{advice} install portaudio)")
    try:
        devices = [d for d in sounddevice.query_devices() if d["max_input_channels"] > 0]
    except sounddevice.PortAudioError as error:
        return Check(name, False, _first_line(error), "check the sound system of this machine")
    if not devices:
        advice = "connect one for `voxwatch listen`; browsers and streams bring their own sound"
        return Check(name, None, "no input device", advice)
    names = ", ".join(str(device["name"]) for device in devices)
    return Check(name, True, f"{len(devices)} found: {names}")


def runtime(installed: Runtime) -> Check:
    """Which onnxruntime computes, and what a GPU would need of this machine."""
    name = "onnxruntime"
    if len(installed.packages) > 1:
        both = " and ".join(installed.packages)
        advice = f"`pip uninstall {' '.join(installed.packages)}`, then install voxwatch again"
        return Check(name, False, f"{both} are both installed and overwrite each other", advice)
    which = f"{''.join(installed.packages) or 'of another package'} {installed.version}"
    if not installed.cuda:
        return Check(name, True, f"{which}, which uses no NVIDIA GPU")
    needs = f"a GPU needs NVIDIA's driver, CUDA {installed.cuda} and cuDNN {installed.cudnn}"
    return Check(name, True, f"{which}; {needs}, which voxwatch's extra `gpu` installs")


def model(config: Config) -> Iterator[Check]:
    """The bundle and the detector, what computes them, and why the rest of it does not."""
    try:
        bundle = load_bundle(config.bundle)
    except VoxwatchError as error:
        yield Check("model", False, str(error), "list what there is with `voxwatch models list`")
        return
    manifest = bundle.manifest
    known = f"{manifest.name} {manifest.version} ({bundle.folder}), sha256 as it should be"
    try:
        SileroVad()
        encoder = Encoder(bundle, config.provider, threads=config.threads or os.cpu_count() or 1)
        took_ms = 1000 * _embedding_s(encoder)
    except VoxwatchError as error:
        yield Check("model", False, str(error), "use provider auto or cpu, or another bundle")
        return
    timed = f"{TIMED_S:g} s of sound embedded in {took_ms:.0f} ms on {encoder.provider}"
    yield Check("model", True, f"{known}; {timed}")
    if manifest.calibration is None:
        yield Check("calibration", False, "the bundle has none", "run `voxwatch calibrate` on it")
    yield from providers(encoder)


def providers(encoder: Encoder) -> Iterator[Check]:
    """The provider that runs ``encoder``, and of each other one why it does not."""
    order = list(PROVIDERS)
    for provider in order:
        name = f"provider {provider}"
        if provider == encoder.provider:
            yield Check(name, True, "runs the model")
        elif reason := _unavailable(provider):
            yield Check(name, None, reason)
        elif provider == "cpu":
            yield Check(name, True, "ready")
        else:
            yield _tried(name, encoder, provider)


def _tried(name: str, encoder: Encoder, provider: Provider) -> Check:
    """Why ``auto`` passed over ``provider``: it failed a moment ago, and fails again."""
    try:
        open_session(encoder.bundle, provider, 1)
    except ProviderError as error:
        return Check(name, None, str(error), "repair it to have it, or set provider to what runs")
    return Check(name, None, f"it runs, but {encoder.provider} was chosen")


def database(config: Config) -> Check:
    """Where voiceprints and records lie, and whether that answers."""
    if config.database is None:
        return Check("database", True, f"SQLite {sqlite3.sqlite_version} in {config.data_dir}")
    try:
        engine = open_database(config.database, config.data_dir, STORE_FILE)
        with explained(engine):
            detail = described(engine)
        engine.dispose()
        return Check("database", True, detail)
    except VoxwatchError as error:
        return Check("database", False, str(error), "correct `database`, or start the server")


def store(config: Config, env: Mapping[str, str], now: float) -> Check:
    """Whether the voiceprints can be read with the key, or could be stored."""
    folder = config.data_dir
    if not has_store(folder):
        there = next(above for above in (folder, *folder.parents) if above.exists())
        if not os.access(there, os.W_OK | os.X_OK):
            return Check("store", False, f"{there} cannot be written", "set another data_dir")
        return Check("store", None, f"none in {folder} yet: it is made when it is first used")
    try:
        with Store.in_folder(folder, config.database, env) as opened:
            count, doubted = len(opened.profiles(now)), opened.clock.doubted
    except (KeyFileError, WrongKey, Inconsistent) as error:
        return Check("store", False, str(error), f"look at {KEY_FILE} and what else is in {folder}")
    except VoxwatchError as error:  # of the database, which itself says what to do
        return Check("store", False, str(error))
    known = f"{count} enrolled, the key fits ({folder})"
    if doubted:
        advice = "it is believed when it has gone on steadily for a day: see docs/STORE.md"
        return Check("store", None, f"{known}; the clock was set, by more than it may be", advice)
    return Check("store", True, known)


def exposure(config: Config) -> Check:
    """Whether whoever can reach the server is kept to what they may do."""
    try:
        check_exposure(config)
        if config.tls_cert and config.tls_key:
            ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(
                config.tls_cert, config.tls_key
            )
    except VoxwatchError as error:
        return Check("exposure", False, str(error), "see Safe by default in the README")
    except (ssl.SSLError, OSError) as error:
        advice = "tls_cert is the certificate chain and tls_key its private key, both PEM"
        return Check("exposure", False, f"TLS cannot start: {_first_line(error)}", advice)
    way = "TLS" if config.tls_cert else "plaintext"
    who = f"{len(config.tokens)} tokens" if config.tokens else "everybody on this machine"
    return Check("exposure", True, f"{config.host}, {way}, {who}")


def tokens(config: Config, now: float) -> Check:
    """Which tokens have expired, or do within days."""
    due = [token.end(now) for token in config.tokens if token.is_due(now)]
    if not due:
        return Check("tokens", True, f"{len(config.tokens)}, of which none expires within days")
    advice = "make others with `voxwatch token new`, hand them out, and take these out"
    return Check("tokens", None, "; ".join(due), advice)


def port(config: Config) -> Check:
    """Whether the server could listen where it should."""
    name, place = "port", f"{config.host} port {config.port}"
    try:
        _listen(config.host, config.port)
    except socket.gaierror as error:
        return Check(name, False, f"{config.host}: {error.strerror}", "set host to an address")
    except PermissionError:
        return Check(name, False, f"{place} needs privileges", "set port to 1024 or above")
    except OSError as error:
        if _answers(config):
            return Check(name, None, f"{place}: a voxwatch server answers there")
        advice = "stop what listens there, or set another host or port"
        return Check(name, False, f"{place}: {error.strerror}", advice)
    return Check(name, True, f"{place} is free")


def clock(config: Config, now: float) -> Check:
    """Whether the time can be believed: consent and time-to-live are recorded in it."""
    advice = "set the clock, for example with `timedatectl set-ntp true`"
    shown = f"{datetime.fromtimestamp(now, UTC):%Y-%m-%d %H:%M:%S} UTC"
    if now < RELEASED.timestamp():
        return Check("clock", False, f"it shows {shown}, before this program was made", advice)
    if _newest_s(config) > now + SKEW_S:
        return Check("clock", False, f"it shows {shown}, but the store is younger", advice)
    return Check("clock", True, shown)


def _embedding_s(encoder: Encoder) -> float:
    """Seconds that one window takes, once the model is warm."""
    samples = min(max(round(TIMED_S * SAMPLE_RATE_HZ), encoder.min_samples), encoder.max_samples)
    noise = np.random.default_rng(0).standard_normal((1, samples)).astype(np.float32)
    encoder.embed(0.1 * noise)
    start = time.perf_counter()
    encoder.embed(0.1 * noise)
    return time.perf_counter() - start


def _unavailable(provider: Provider) -> str:
    """Why it makes no sense to try ``provider``, or nothing."""
    if PROVIDERS[provider] not in ort.get_available_providers():
        return "this onnxruntime was built without it"
    if provider != "cpu":
        try:
            ctypes.CDLL(CUDA_DRIVER)
        except OSError:
            return f"no NVIDIA driver: {CUDA_DRIVER} is not there"
    return ""


def _listen(host: str, port: int) -> None:
    """Listen for a moment, as the server would."""
    for family, kind, protocol, _, address in socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    ):
        with socket.socket(family, kind, protocol) as probe:
            # A connection that ended a moment ago does not count.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen()


def _answers(config: Config) -> bool:
    """Whether a server like ours listens there already."""
    connection = http.client.HTTPConnection(config.host, config.port, timeout=PROBE_S)
    if config.tls_cert:
        trusting = ssl.create_default_context()  # nothing is told to it, and its name is not ours
        trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
        connection = http.client.HTTPSConnection(
            config.host, config.port, timeout=PROBE_S, context=trusting
        )
    with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
        connection.request("GET", "/healthz")
        response = connection.getresponse()
        return response.status == HTTPStatus.OK and response.read(8).strip() == b"ok"
    return False


def _newest_s(config: Config) -> float:
    """When key or store were last written, in seconds since 1970; 0 when there are none."""
    files = [config.data_dir / name for name in (STORE_FILE, PERSON_KEYS_FILE, KEY_FILE)]
    return max((file.stat().st_mtime for file in files if file.exists()), default=0.0)


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
