"""`voxwatch models ...`, each command by itself: what it makes and what it says."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import soundfile as sf
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper
from typer.testing import CliRunner

from engine.errors import BundleError, VoxwatchError
from engine.format import SAMPLE_RATE_HZ
from engine.model.bundle import Bundle, load_bundle
from engine.model.encoder import Encoder
from models.cli import app
from models.commands import bundles
from models.network import export, parity, registry, streaming_bundle
from models.network.architectures import ARCHITECTURES
from models.network.checkpoint import load_trained
from models.network.embedding import embed
from models.network.frontend import LogMel
from models.network.next_tdnn import NeXtTDNN
from models.network.quantise import Play
from models.network.registry import PUBLISHED, Entry
from models.network.streaming import StreamingNeXtTDNN
from models.network.streaming_bundle import LEAST_RECORDINGS, MARGIN_BLOCKS
from models.network.streaming_export import StreamingGraphs

pytestmark = pytest.mark.slow

Run = Callable[..., str]
Site = Any  # the misbehaving server of conftest


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """What a command prints; a failure is raised, as `main` would print it."""

    def invoke(*arguments: object) -> str:
        env = {"XDG_DATA_HOME": str(tmp_path / "data")}
        result = CliRunner(env=env).invoke(app, ["models", *map(str, arguments)])
        if result.exception is not None:
            raise result.exception
        return result.stdout

    return invoke


@pytest.fixture
def network(
    tiny_network: Callable[..., NeXtTDNN], tiny_graph: bytes, monkeypatch: pytest.MonkeyPatch
) -> NeXtTDNN:
    """A network of an architecture that has a name, which exports without delay.

    The graph is made once for all tests, and parity is measured on one small batch: the tests
    of `models.network.export` and `models.network.parity` measure all of them.
    """
    network = tiny_network()
    monkeypatch.setattr(parity, "PARITY_LENGTHS_S", (1.0,))
    monkeypatch.setattr(parity, "PARITY_BATCHES", (2,))
    monkeypatch.setitem(ARCHITECTURES, "tiny", network.arch)
    monkeypatch.setattr(export, "to_onnx", lambda *_: tiny_graph)
    return network


@pytest.fixture
def official(network: NeXtTDNN, tmp_path: Path) -> Path:
    """A checkpoint as the official training module saves it."""
    path = tmp_path / "official.pt"
    state = {f"speaker_net.{name}": value for name, value in network.state_dict().items()}
    torch.save({"state_dict": state}, path)
    return path


@pytest.fixture
def streaming(
    tiny_streaming_network: Callable[..., StreamingNeXtTDNN],
) -> StreamingNeXtTDNN:
    """The network of the checkpoint that training saved."""
    return tiny_streaming_network()


@pytest.fixture
def trained(streaming: StreamingNeXtTDNN, tmp_path: Path) -> Path:
    """A checkpoint as `voxwatch train` saves it."""
    network = streaming
    path = tmp_path / "last.pt"
    config = json.dumps({"seed": 3})
    arch = asdict(network.arch)
    torch.save({"ema": network.state_dict(), "arch": arch, "step": 7, "config": config}, path)
    return path


def embedding(bundle: Bundle) -> NDArray[np.float32]:
    return Encoder(bundle, "cpu").embed(_waveform())[0]


def expected(network: NeXtTDNN) -> NDArray[np.float32]:
    with torch.no_grad():
        found = network(LogMel()(torch.from_numpy(_waveform())))[0].numpy()
    return np.asarray(found / np.linalg.norm(found))


def expected_of_span(network: StreamingNeXtTDNN) -> NDArray[np.float32]:
    margin = MARGIN_BLOCKS * 1600
    found = embed(network, [np.pad(_waveform()[0], margin)])[0]
    return np.asarray(found / np.linalg.norm(found))


def _waveform() -> NDArray[np.float32]:
    return 0.1 * np.random.default_rng(1).standard_normal((1, 24_000)).astype(np.float32)


def test_list_names_the_built_in_model_and_all_that_can_be_pulled(run: Run) -> None:
    said = run("list")
    manifest = load_bundle().manifest
    built_in, _, published = said.partition("published, for")
    assert f"{manifest.name} {manifest.version}" in built_in
    assert manifest.model_sha256 in built_in
    assert "calibrated  yes" in built_in
    for entry in PUBLISHED.values():
        assert f"  {entry.name}  ({entry.licence})\n" in published
    assert "  campplus  (Apache-2.0)\n" in published


def test_list_has_the_others_where_the_built_in_model_is_damaged(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damaged() -> Bundle:
        raise BundleError("its sha256 does not match")

    monkeypatch.setattr(bundles, "load_bundle", damaged)
    said = run("list")
    assert "unusable: its sha256 does not match" in said
    assert "NeXt_TDNN_C256_B3_K65_7" in said


def test_verify_checks_the_checksums(run: Run, official: Path) -> None:
    folder = official.parent / "bundle"
    run("import", official, "--config", "tiny", "--output", folder)
    assert "verified" in run("verify", folder)
    graph = folder / "model.onnx"
    graph.write_bytes(graph.read_bytes()[:-1] + b"?")
    with pytest.raises(BundleError, match="sha256"):
        run("verify", folder)
    assert "verified" in run("verify")  # the built-in one


@pytest.mark.parametrize(("precision", "near"), [("fp32", 1e-4), ("fp16", 1e-2)])
def test_import_makes_a_bundle_of_the_same_network(
    run: Run, official: Path, network: NeXtTDNN, precision: str, near: float
) -> None:
    folder = official.parent / "bundle"
    options = ("--config", "tiny", "--output", folder, "--precision", precision)
    said = run("import", official, *options)
    bundle = load_bundle(folder)
    assert bundle.manifest.precision == precision
    assert np.linalg.norm(embedding(bundle) - expected(network)) < near
    assert "no: run `voxwatch calibrate` on it" in said
    assert f"folder      {folder}" in said


def test_import_replaces_no_calibrated_bundle(
    run: Run, official: Path, spectral_bundle: Bundle
) -> None:
    folder = official.parent / "bundle"
    options = ("--config", "tiny", "--output", folder)
    shutil.copytree(spectral_bundle.folder, folder)
    with pytest.raises(
        BundleError, match="with a calibration, or that cannot be read, which would be lost"
    ):
        run("import", official, *options)
    assert load_bundle(folder).manifest == spectral_bundle.manifest
    (folder / "manifest.json").write_text('{"format": 9}')  # of a later version
    with pytest.raises(BundleError, match="which would be lost"):
        run("import", official, *options)
    shutil.rmtree(folder)
    run("import", official, *options)
    run("import", official, *options)  # an uncalibrated one is made anew at will
    assert load_bundle(folder).manifest.name == "tiny"


def test_import_puts_a_front_end_before_an_encoder(run: Run, tmp_path: Path) -> None:
    x = helper.make_tensor_value_info("feats", TensorProto.FLOAT, ["B", "T", 80])
    y = helper.make_tensor_value_info("embs", TensorProto.FLOAT, ["B", "D"])
    nodes = [
        helper.make_node("Abs", ["feats"], ["loud"]),
        helper.make_node("ReduceMean", ["loud"], ["embs"], axes=[1], keepdims=0),
    ]
    graph = helper.make_graph(nodes, "encoder", [x], [y])
    opset = [helper.make_opsetid("", 13)]
    file, folder = tmp_path / "encoder.onnx", tmp_path / "bundle"
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), file)
    said = run("import", file, "--front-end", "kaldi-fbank", "--output", folder)
    assert "Kaldi fbank, hamming window, samples in 16-bit range, mean subtracted" in said
    assert load_bundle(folder).manifest.embedding_size == 80
    said = run(
        *("import", file, "--front-end", "kaldi-fbank", "--output", folder),
        *("--family", "3d-speaker"),
    )
    assert "povey window, samples in [-1, 1]" in said
    for options in ((), ("--front-end", "kaldi-fbank", "--config", "tiny")):
        with pytest.raises(BundleError, match="either --front-end"):
            run("import", file, "--output", folder, *options)


def test_pull_fetches_and_converts_and_says_what_it_recorded(
    run: Run,
    site: Site,
    official: Path,
    network: NeXtTDNN,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    site.body = official.read_bytes()
    entry = Entry("some", site.url, "tiny", "Apache-2.0", "a test server")
    monkeypatch.setitem(PUBLISHED, "some", entry)
    monkeypatch.chdir(tmp_path)
    said = run("pull", "some")  # without --output the name is the folder
    assert np.linalg.norm(embedding(load_bundle(Path("some"))) - expected(network)) < 1e-4
    digest = hashlib.sha256(site.body).hexdigest()
    assert f"a test server; checkpoint sha256 {digest}" in said
    assert f"recorded {digest} in {tmp_path}" in said
    assert (tmp_path / "data" / "voxwatch" / registry.LOCK_FILE).is_file()
    with pytest.raises(VoxwatchError, match="NeXt_TDNN_C128_B3_K65_7"):
        run("pull", "another")


def test_export_prints_how_well_each_precision_agrees(
    run: Run, trained: Path, streaming: StreamingNeXtTDNN, tmp_path: Path
) -> None:
    sf.write(tmp_path / "speech.wav", _waveform()[0], SAMPLE_RATE_HZ)
    said = run(
        *("export", trained, "--output", tmp_path / "bundle", "--name", "mine"),
        *("--version", "2", "--licence", "CC-BY-4.0", "--source", "my own"),
        *("--precision", "fp16", "--speech", tmp_path / "speech.wav"),
    )
    assert [line.split()[0] for line in said.splitlines()[:4]] == [
        *("precision", "fp32", "fp16", "name")
    ]
    bundle = load_bundle(tmp_path / "bundle")
    manifest = bundle.manifest
    assert (manifest.name, manifest.version) == ("mine", "2")
    assert (manifest.licence, manifest.source) == ("CC-BY-4.0", "my own")
    assert manifest.training["config"] == {"seed": 3}  # as an object, not as text in text
    assert manifest.precision == "fp16"
    assert manifest.parity["measured_on"] == "speech"
    assert embedding(bundle) @ expected_of_span(streaming) > 0.999


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """As many as int8 needs, of other sounds each."""
    folder, sound = tmp_path_factory.mktemp("recordings"), _waveform()[0]
    files = [folder / f"{number}.wav" for number in range(LEAST_RECORDINGS)]
    for number, file in enumerate(files):
        sf.write(file, np.roll(sound, 999 * number) * (1 - number / 20), SAMPLE_RATE_HZ)
    return files


def test_int8_is_measured_on_recordings_that_set_no_scale(
    run: Run,
    trained: Path,
    recordings: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    played: list[NDArray[np.float32]] = []
    original = streaming_bundle.frames_played

    def noted(graphs: StreamingGraphs, batches: Sequence[NDArray[np.float32]]) -> Play:
        played.extend(row for batch in batches for row in batch)
        return original(graphs, batches)

    monkeypatch.setattr(streaming_bundle, "frames_played", noted)
    speech = [part for file in recordings for part in ("--speech", file)]
    export = ("export", trained, "--name", "mine", "--precision", "int8", *speech)
    said = run(*export, "--output", tmp_path / "bundle")
    assert [line.split()[0] for line in said.splitlines()[:4]] == [
        *("precision", "fp32", "fp16", "int8")
    ]
    manifest = load_bundle(tmp_path / "bundle").manifest
    assert manifest.precision == "int8"
    assert (manifest.parity["recordings"], manifest.parity["played"]) == (2, 14)
    heard = [row[: len(_waveform()[0])] for row in played]
    sounds = [sf.read(file, dtype="float32")[0] for file in recordings]
    kept_out = [i for i, one in enumerate(sounds) if not any(map(partial(np.allclose, one), heard))]
    assert kept_out == [0, 8]
    assert len(heard) == 14
    monkeypatch.setattr(streaming_bundle, "INT8_COSINE_GATE", 1.1)
    with pytest.raises(VoxwatchError, match=r"too far from those of torch .* choose fp16"):
        run(*export, "--output", tmp_path / "other")
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("count", [0, LEAST_RECORDINGS - 1])
def test_int8_wants_the_speech_of_many(
    count: int, run: Run, trained: Path, recordings: list[Path], tmp_path: Path
) -> None:
    speech = [part for file in recordings[:count] for part in ("--speech", file)]
    export = ("export", trained, "--name", "mine", "--precision", "int8", *speech)
    with pytest.raises(VoxwatchError, match=f"at least 16 recordings .* not {count}, or choose"):
        run(*export, "--output", tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()


def test_a_whitened_checkpoint_is_one_as_training_writes_it(
    run: Run, trained: Path, streaming: StreamingNeXtTDNN, corpus_cache: Path, tmp_path: Path
) -> None:
    (tmp_path / "heldout.txt").write_text("s00\ns01\n")
    output = tmp_path / "whitened.pt"
    said = run(
        *("whiten", trained, "--cache", corpus_cache),
        *("--heldout", tmp_path / "heldout.txt", "--output", output),
    )
    assert said.startswith("fitted on 22 speakers; EER of those held out ")
    assert said.endswith(f"whitened, {output}\n")
    whitened, training = load_trained(output)
    assert training["step"] == 7
    assert whitened.arch == streaming.arch
    assert expected_of_span(whitened) @ expected_of_span(streaming) < 0.99
