"""Published reference outputs, tiny networks, a prepared corpus, a server that misbehaves."""

from __future__ import annotations

import csv
import hashlib
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
import soundfile as sf
import soxr
import torch
from numpy.typing import NDArray

from engine.format import SAMPLE_RATE_HZ
from models.benchmark.truth import Truth
from models.evaluation import embeddings as embedding
from models.evaluation.scoring import Cell, Scored
from models.metrics import measure
from models.network import export
from models.network.architectures import ARCHITECTURES
from models.network.next_tdnn import Architecture, NeXtTDNN
from models.network.streaming import StreamingArchitecture, StreamingNeXtTDNN
from models.sound.corpus import Corpus

# Two processes share the cores of a small machine: threads of both would wait for each other.
torch.set_num_threads(1)

Network = TypeVar("Network", bound=torch.nn.Module)
PARITY = Path(__file__).resolve().parents[3] / "shared" / "parity"


def rule_weight(name: str, shape: tuple[int, ...]) -> torch.Tensor:
    """The seeded weight that the reference outputs were computed with."""
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "little")
    r = 0.05 * np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
    if "running_var" in name:
        r = 1 + np.abs(r)
    elif (
        name.endswith("norm.weight")
        or ".1.weight" in name
        or ("bn" in name and name.endswith("weight"))
    ):
        r = 1 + r
    return torch.from_numpy(np.asarray(r, np.float32))


def fill_by_rule(network: Network) -> Network:
    state = network.state_dict()
    for name, value in state.items():
        if value.is_floating_point():
            state[name] = rule_weight(name, tuple(value.shape))
    network.load_state_dict(state)
    return network.eval()


@pytest.fixture(scope="session")
def parity_folder() -> Path:
    if not PARITY.is_dir():
        pytest.skip(f"the published reference outputs are not at {PARITY}")
    return PARITY


@pytest.fixture(scope="session")
def reference(parity_folder: Path) -> dict[str, Any]:
    """What the official implementation has and gives, by configuration."""
    return json.loads((parity_folder / "reference.json").read_text())


@pytest.fixture(scope="session")
def reference_waveform() -> NDArray[np.float32]:
    """Three seconds, ``(48000,)``: the sound of the reference outputs."""
    n = np.arange(48000)
    tones = 0.2 * np.sin(2 * np.pi * 220 * n / 16000) + 0.1 * np.sin(
        2 * np.pi * 1370 * n / 16000 + 1
    )
    return (tones + 0.02 * np.random.default_rng(7).standard_normal(48000)).astype(np.float32)


@pytest.fixture(scope="session")
def reference_network() -> Callable[[str], NeXtTDNN]:
    """A published configuration with the weights of the reference."""
    return lambda name: fill_by_rule(NeXtTDNN(ARCHITECTURES[name]))


@pytest.fixture(scope="session")
def tiny_network() -> Callable[..., NeXtTDNN]:
    """A network of either kind that exports in a second."""

    def make(*, light: bool = False) -> NeXtTDNN:
        kernels = (9,) if light else (3, 9)
        arch = Architecture(16, (1, 2, 1), kernels, embedding_size=24, light=light)
        return fill_by_rule(NeXtTDNN(arch))

    return make


@pytest.fixture(scope="session")
def tiny_graph(tiny_network: Callable[..., NeXtTDNN]) -> bytes:
    """The fp32 graph of the tiny network, exported once: it takes seconds."""
    return export.to_onnx(tiny_network())


@pytest.fixture
def exported(tiny_graph: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever exports a network is given the graph of the tiny one."""
    monkeypatch.setattr(export, "to_onnx", lambda *_: tiny_graph)


@pytest.fixture(scope="session")
def tiny_streaming_network() -> Callable[..., StreamingNeXtTDNN]:
    """A streaming network with a look-ahead of five blocks, or of another shape."""

    def make(arch: StreamingArchitecture | None = None) -> StreamingNeXtTDNN:
        small = StreamingArchitecture(16, (1, 2, 1), (3, 9), 24, ahead_frames=8)
        return fill_by_rule(StreamingNeXtTDNN(arch or small))

    return make


BODY = bytes(range(256)) * 1500


@dataclass
class Site:
    """A file server that can misbehave; ``ranges`` has the Range header of every request."""

    body: bytes = BODY
    etag: str | None = '"one"'
    status: int = 200
    failures: int = 0  # requests answered with 503 first
    cut_after: int | None = None  # bytes of the first answer, which then breaks off
    ignore_range: bool = False
    ranges: list[str | None] = field(default_factory=list)
    url: str = ""

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        wanted = request.headers.get("Range")
        self.ranges.append(wanted)
        if self.failures or self.status != 200:
            code = 503 if self.failures else self.status
            self.failures = max(0, self.failures - 1)  # before the answer: the next comes soon
            request.send_error(code)
            return
        start = 0
        same = request.headers.get("If-Range") == self.etag
        if wanted and same and not self.ignore_range:
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
        if start >= len(self.body):
            request.send_error(416)
            return
        request.send_response(206 if start else 200)
        request.send_header("Content-Length", str(len(self.body) - start))
        if self.etag:
            request.send_header("ETag", self.etag)
        request.end_headers()
        end = None if self.cut_after is None else start + self.cut_after
        self.cut_after = None
        request.wfile.write(self.body[start:end])


@pytest.fixture
def site() -> Iterator[Site]:
    state = Site()

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.answer(self)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        state.url = f"http://127.0.0.1:{server.server_port}/model.pt"
        yield state
        server.shutdown()
        thread.join()


RATE = 16000
SPEAKERS, UTTERANCES = 24, 6


def write_corpus(folder: Path, speakers: int = SPEAKERS, utterances: int = UTTERANCES) -> Path:
    """Prepared speech of speakers who are noise of a colour of their own, in two sources."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True)
    position, rows = 0, []
    with open(folder / "speech.i16", "wb") as store:
        for speaker in range(speakers):
            shape = 1 + 0.9 * rng.uniform(-1, 1, 9)
            for _ in range(utterances):
                length = int(RATE * rng.uniform(1.2, 2.5))
                spectrum = np.fft.rfft(rng.standard_normal(length))
                places = np.linspace(0, 8, len(spectrum))
                sound = np.fft.irfft(spectrum * np.interp(places, np.arange(9), shape), n=length)
                np.round(3000 * sound / sound.std()).clip(-32767, 32767).astype("<i2").tofile(store)
                source = "red" if speaker % 2 else "blue"
                language = "en" if speaker % 4 < 2 else "fr"
                rows.append([f"s{speaker:02}", source, language, position, length])
                position += length
    with open(folder / "index.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerows([["speaker", "source", "language", "start", "length"], *rows])
    np.save(folder / "noise.npy", rng.standard_normal(5 * RATE).astype(np.float16))
    rooms = rng.standard_normal((3, 800)) * np.exp(-np.arange(800) / 100)
    np.save(folder / "rooms.npy", rooms.astype(np.float16))
    return folder


@pytest.fixture(scope="session")
def corpus_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("corpus") / "cache")


@pytest.fixture(scope="session")
def corpus(corpus_cache: Path) -> Corpus:
    return Corpus(corpus_cache)


@pytest.fixture(scope="session")
def people(
    tmp_path_factory: pytest.TempPathFactory, voice: Callable[..., NDArray[np.float32]]
) -> Path:
    """Anna, Bert, and each again as somebody with a shorter vocal tract and higher pitch."""
    folder = tmp_path_factory.mktemp("people")
    for name in ("anna", "bert"):
        for seed in range(12):
            sound = voice(name, 3.4, seed=seed)
            faster = soxr.resample(sound, 1.16 * SAMPLE_RATE_HZ, SAMPLE_RATE_HZ)
            for person, said in ((name, sound), (f"{name}-2", faster)):
                place = folder / person / f"{seed:02d}.flac"
                place.parent.mkdir(exist_ok=True)
                sf.write(place, said, SAMPLE_RATE_HZ)
    return folder


@pytest.fixture(scope="session")
def cell() -> Callable[..., Cell]:
    """Scored trials: ``cell(targets, nontargets)`` takes the LLRs of either kind, targets first."""

    def make(targets: Sequence[float], nontargets: Sequence[float], **changed: Any) -> Cell:
        scores = np.array([*targets, *nontargets], np.float64)
        target = np.arange(len(scores)) < len(targets)
        is_llr, resampled = changed.pop("is_llr", True), changed.pop("resampled", {})
        both = len(targets) and len(nontargets)
        raw, own = (measure(scores, target, is_llr=llr) if both else {} for llr in (False, is_llr))
        values: dict[str, Any] = {
            "list": "ours",
            "duration_s": 1.0,
            "condition": "clean",
            "short": 0,
            "unusable": 0,
            "target": target,
            "speakers": 2,
            "cosine": Scored(scores / 20, False, raw, {}),
            "calibrated": Scored(scores, is_llr, own, resampled),
        }
        return Cell(**(values | changed))

    return make


@pytest.fixture(scope="session")
def truth() -> Callable[..., Truth]:
    """A conversation as it is scored: the claimed speaker until 10 s, a stranger to 20."""

    def make(**changed: Any) -> Truth:
        values: dict[str, Any] = {
            "name": "takeover-000",
            "kind": "takeover",
            "claimed": "anna",
            "similar": True,
            "condition": "clean",
            "enrol_s": 10.0,
            "voices": (0, 1),
            "spans": np.array([[1.0, 5.0], [6.0, 20.0]]),
            "begins_s": 1.0,
            "ends_s": 20.0,
            "stranger_at_s": 10.0,
            "turns": ((1.0, 5.0, True), (6.0, 10.0, True), (10.0, 20.0, False)),
        }
        return Truth(**(values | changed))

    return make


@pytest.fixture
def loudness_vad(monkeypatch: pytest.MonkeyPatch) -> None:
    """Speech is what is not digital silence: exact lengths of net speech."""
    monkeypatch.setattr(embedding, "speech_mask", lambda waves, *_: [w != 0 for w in waves])
