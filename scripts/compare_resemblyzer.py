"""voxwatch and Resemblyzer side by side: the same trials, segments and conditions, one run.

Resemblyzer (Apache-2.0, https://github.com/resemble-ai/Resemblyzer) is installed from PyPI
into a scratch environment, which borrows this environment's torch, and runs there in a
subprocess; it is no dependency of voxwatch. It gets the net-speech segments that voxwatch
gets, after its own volume normalisation, through its own ``embed_utterance``. ``--trim``
applies its own speech detection to them as well, as its ``preprocess_wav`` does.

    python scripts/compare_resemblyzer.py --output runs/comparison \
        --noise ../shared/data/noise --cache runs/resemblyzer_cache \
        ../shared/data/eval/trials_*.txt

The cache knows a segment by its samples: with a new model only our side is computed again,
and a segment that changed in any way is never answered from it.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import os
import struct
import subprocess
import sys
import sysconfig
import tempfile
import venv
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, cast

import msgspec
import numpy as np
from numpy.typing import NDArray

from engine.errors import VoxwatchError
from engine.model.bundle import load_bundle
from engine.scoring.scorer import Scores
from models.evaluation.embeddings import Embedder, Float32, Float64, Ints, embed_trials
from models.evaluation.evaluate import (
    BundleSystem,
    checked_cuts,
    load_lists,
    make_writable,
    parse_conditions,
    parse_durations,
    settings,
)
from models.evaluation.report import Estimate, duration_name, shown
from models.evaluation.scoring import Cell, in_mean, score_lists
from models.metrics import interval
from models.sound.conditions import Condition, Degradation

VERSION = "0.1.4"
# webrtcvad needs pkg_resources, which setuptools 81 dropped. The package's other
# requirements are in this environment already, or (`typing`) part of Python.
REQUIREMENTS = ("setuptools<81", "librosa>=0.10", "webrtcvad>=2.0.10")
WIDTH = 256
RECORD = np.dtype([("digest", "u1", 16), ("embedding", "<f4", WIDTH)])
MIN_SPEECH_S = 0.5
FLOOR_CLEAN = 1.0  # largest ratio of our EER to Resemblyzer's that is good enough
FLOOR_DEGRADED = 0.7


class ComparisonError(VoxwatchError):
    """Resemblyzer cannot be installed or run here."""


def scratch_python(folder: Path) -> Path:
    """The interpreter of a scratch environment with Resemblyzer, made unless it is there."""
    python = folder / "bin" / "python"
    done = folder / f"resemblyzer-{VERSION}.installed"
    if done.exists() and python.exists():
        return python
    if importlib.util.find_spec("torch") is None:
        raise ComparisonError("torch is not installed here: install voxwatch with its train extra")
    print(f"installing Resemblyzer {VERSION} into {folder}", file=sys.stderr)
    venv.create(folder, with_pip=True, clear=True)
    # Its own packages come first on the path; torch and scipy are taken from here.
    packages = subprocess.check_output(
        [python, "-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])"], text=True
    ).strip()
    (Path(packages) / "host.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    steps: tuple[list[str], ...] = (["--no-deps", f"Resemblyzer=={VERSION}"], [*REQUIREMENTS])
    for what in steps:
        command = [str(python), "-m", "pip", "install", "--quiet", *what]
        if subprocess.run(command, check=False).returncode:
            raise ComparisonError(
                f"pip could not install {' '.join(what)} into {folder}: see its message above"
            )
    done.touch()
    return python


class Cache:
    """Embeddings on disk by the digest of their segment; a file that is only appended to."""

    def __init__(self, path: Path | None) -> None:
        self._known: dict[bytes, Float32] = {}
        self._file = None
        if path is None:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            whole = path.stat().st_size // RECORD.itemsize
            os.truncate(path, whole * RECORD.itemsize)  # a killed run may leave half a record
            for record in np.fromfile(path, RECORD):
                self._known[record["digest"].tobytes()] = record["embedding"]
        self._file = open(path, "ab")  # noqa: SIM115  lives as long as the cache

    def __len__(self) -> int:
        return len(self._known)

    def get(self, digest: bytes) -> Float32 | None:
        return self._known.get(digest)

    def add(self, digests: Sequence[bytes], embeddings: Float32) -> None:
        records = np.zeros(len(digests), RECORD)
        records["digest"] = np.frombuffer(b"".join(digests), np.uint8).reshape(-1, 16)
        records["embedding"] = embeddings
        self._known.update(zip(digests, embeddings, strict=True))
        if self._file:
            self._file.write(records.tobytes())
            self._file.flush()

    def close(self) -> None:
        if self._file:
            self._file.close()


class Resemblyzer:
    """Resemblyzer as a system under test: a subprocess that starts when it is first needed."""

    name = f"Resemblyzer {VERSION}"
    min_speech_s = MIN_SPEECH_S

    def __init__(self, environment: Path, cache: Cache, *, trim: bool, threads: int) -> None:
        self._environment = environment
        self._cache = cache
        self._trim = trim
        self._threads = threads
        self._worker: subprocess.Popen[bytes] | None = None
        self.computed = 0

    def embed(self, waveforms: Float32) -> Float32:
        """Unit embeddings ``(N, 256)``."""
        digests = [hashlib.blake2b(row.tobytes(), digest_size=16).digest() for row in waveforms]
        new = [i for i, digest in enumerate(digests) if self._cache.get(digest) is None]
        if new:
            self._cache.add([digests[i] for i in new], self._ask(waveforms[new]))
            self.computed += len(new)
        return np.stack([cast(Float32, self._cache.get(digest)) for digest in digests])

    def _ask(self, waveforms: Float32) -> Float32:
        if self._worker is None:
            self._worker = self._start()
        into, out = self._worker.stdin, self._worker.stdout
        assert into is not None
        assert out is not None
        rows, samples = waveforms.shape
        try:
            into.write(struct.pack("<II", rows, samples) + waveforms.astype("<f4").tobytes())
            into.flush()
            answer = out.read(4 * rows * WIDTH)
        except BrokenPipeError:
            answer = b""
        embeddings = np.frombuffer(answer, "<f4")
        if embeddings.size != rows * WIDTH or not np.isfinite(embeddings).all():
            raise ComparisonError("Resemblyzer failed on a segment: see its message above")
        return embeddings.reshape(rows, WIDTH)

    def _start(self) -> subprocess.Popen[bytes]:
        python = scratch_python(self._environment)
        worker = Path(__file__).with_name("resemblyzer_worker.py")
        command: list[str | Path] = [python, "-W", "ignore", worker]
        return subprocess.Popen(
            [*command, "--trim"] if self._trim else command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # Without our own import path, which would show it our packages twice.
            env={k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
            | {"OMP_NUM_THREADS": str(self._threads)},
        )

    def close(self) -> None:
        """End the subprocess; one that died before its last segment is no new error."""
        if self._worker is not None:
            with suppress(BrokenPipeError), self._worker:
                pass

    def score(
        self, enrol: Float32, enrol_s: Float64, test: Float32, test_s: Float64, pairs: Ints
    ) -> Scores:
        """Cosines: Resemblyzer has no calibration."""
        cosine = np.einsum("nd,nd->n", enrol[pairs[:, 0]], test[pairs[:, 1]]).astype(np.float64)
        return Scores(cosine, cosine)


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One list (or the mean), duration and condition: EER of both, and ours over theirs."""

    list: str
    lists: int
    duration_s: float | None
    condition: str
    trials: int
    targets: int
    speakers: int
    resemblyzer: Estimate
    cosine: Estimate | None = None
    calibrated: Estimate | None = None
    ratio: Estimate | None = None
    floor: float


def lines(theirs: Sequence[Cell], ours: Sequence[Cell] | None) -> list[Line]:
    """A line for every cell, then for the means over the lists."""
    absent: list[Cell | None] = [None] * len(theirs)
    pairs = list(zip(theirs, ours or absent, strict=True))
    for their, our in pairs:
        if our is not None and not np.array_equal(their.target, our.target):
            raise AssertionError("the systems were scored on different trials")
    usable = [pair for pair in pairs if pair[0].cosine.figures]
    single = [_line(their.list, [(their, our)]) for their, our in usable]
    groups: dict[tuple[float, str], list[tuple[Cell, Cell | None]]] = {}
    for pair in usable:
        if in_mean(pair[0]):
            groups.setdefault((pair[0].duration_s, pair[0].condition), []).append(pair)
    return single + [_line("mean", group) for group in groups.values()]


def _line(name: str, group: list[tuple[Cell, Cell | None]]) -> Line:
    cells = [their for their, _ in group]
    first = cells[0]
    their_eer = _mean_eer([cell.cosine for cell in cells])
    figures: dict[str, Estimate] = {"resemblyzer": _figure(*their_eer)}
    our_cells = [our for _, our in group if our is not None]
    if our_cells:
        ours = _mean_eer([cell.calibrated for cell in our_cells])
        figures["cosine"] = _figure(*_mean_eer([cell.cosine for cell in our_cells]))
        figures["calibrated"] = _figure(*ours)
        with np.errstate(divide="ignore", invalid="ignore"):
            figures["ratio"] = _figure(
                float(np.float64(ours[0]) / their_eer[0]), ours[1] / their_eer[1]
            )
    return Line(
        list=name,
        lists=len(group),
        duration_s=None if np.isinf(first.duration_s) else first.duration_s,
        condition=first.condition,
        trials=sum(len(cell.target) for cell in cells),
        targets=sum(int(cell.target.sum()) for cell in cells),
        speakers=sum(cell.speakers for cell in cells),
        floor=FLOOR_CLEAN if first.condition == "clean" else FLOOR_DEGRADED,
        **figures,
    )


def _mean_eer(scored: Sequence[Any]) -> tuple[float, Float64]:
    value = float(np.mean([one.figures["eer"] for one in scored]))
    none: NDArray[np.float64] = np.empty(0)
    return value, np.mean([one.resampled.get("eer", none) for one in scored], axis=0)


def _figure(value: float, resampled: Float64) -> Estimate:
    return Estimate(value, *interval(resampled))


def as_markdown(all_lines: Sequence[Line], names: Sequence[str], about: dict[str, Any]) -> str:
    """The comparison as a page of tables, means first."""
    page = [f"# {' and '.join(names)}", ""]
    page += [f"- {name}: {value}" for name, value in about.items()]
    page += [
        "- EER in per cent, with 95 % intervals (bootstrap over speakers); the ratio is our"
        " calibrated score's EER over Resemblyzer's, resampled in pairs.",
        "- Both systems get the same net-speech segments; enrolment is all net speech, clean.",
    ]
    for name in dict.fromkeys(["mean", *(line.list for line in all_lines)]):
        chosen = [line for line in all_lines if line.list == name]
        if not chosen:
            continue
        page += ["", f"## {'Mean over the lists' if name == 'mean' else name}", ""]
        page.append(
            "| net speech | condition | lists | targets | trials | Resemblyzer | ours, cosine |"
            " ours, calibrated | ratio | floor |"
        )
        page.append("|---|---|---|---|---|---|---|---|---|---|")
        page += [_row(line) for line in chosen]
    return "\n".join(page) + "\n"


def _row(line: Line) -> str:
    reached = "-"
    if line.ratio is not None:
        verdict = "reached" if line.ratio.value <= line.floor else "missed"
        reached = f"{line.floor:g}: {verdict}"
    cells = [
        duration_name(line.duration_s),
        line.condition,
        line.lists,
        line.targets,
        line.trials,
        shown("eer", line.resemblyzer),
        shown("eer", line.cosine),
        shown("eer", line.calibrated),
        shown("ratio", line.ratio),
        reached,
    ]
    return "| " + " | ".join(map(str, cells)) + " |"


def compare(options: argparse.Namespace) -> list[Line]:
    """Run both systems and write ``comparison.json`` and ``comparison.md``."""
    conditions: list[Condition] = parse_conditions(options.conditions)
    cuts = checked_cuts(parse_durations(options.durations), conditions, "drop")
    make_writable(options.output)
    lists = load_lists(options.trials, options.audio_root, options.seed)
    degrade = Degradation(options.noise, seed=options.seed)
    name = f"resemblyzer-{VERSION}{'-trim' if options.trim else ''}.cache"
    cache = Cache(options.cache and options.cache / name)
    print(f"{len(cache)} embeddings of Resemblyzer in the cache", file=sys.stderr)
    theirs = Resemblyzer(options.env, cache, trim=options.trim, threads=options.threads)
    systems: list[Embedder] = [theirs]
    if not options.only_resemblyzer:
        bundle = load_bundle(options.bundle)
        systems.append(BundleSystem(bundle, options.provider, threads=options.threads))
    with ExitStack() as stack:
        stack.callback(cache.close)
        stack.callback(theirs.close)
        embeddings = embed_trials(lists, systems, cuts, degrade)
    print(f"{theirs.computed} embeddings of Resemblyzer computed", file=sys.stderr)
    their_cells, *our_cells = (
        score_lists(lists, system, rows, cuts, resamples=options.resamples, seed=options.seed)
        for system, rows in zip(systems, embeddings, strict=True)
    )
    result = lines(their_cells, our_cells[0] if our_cells else None)
    names = [system.name for system in systems]
    about = settings(cuts, degrade, options.resamples)
    about["Resemblyzer's own speech detection"] = "applied too" if options.trim else "not applied"
    page = as_markdown(result, names, about)
    encoded = msgspec.json.encode({"systems": names, "settings": about, "lines": result})
    (options.output / "comparison.json").write_bytes(msgspec.json.format(encoded, indent=1) + b"\n")
    (options.output / "comparison.md").write_text(page, encoding="utf-8")
    print(page.split("\n## ")[1] if "\n## " in page else page)
    return result


def parsed(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    summary, _, rest = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        description=summary, epilog=rest, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("trials", nargs="+", type=Path, help="trial lists in VoxCeleb's form, or folders")
    add("--output", type=Path, required=True, help="folder for comparison.json and comparison.md")
    add("--bundle", type=Path, help="our model bundle; default: the one that ships with voxwatch")
    add("--only-resemblyzer", action="store_true", help="leave our side out, to fill the cache")
    add("--audio-root", type=Path, help="where paths start; default: each list's own folder")
    add("--noise", type=Path, help="folder of noise pieces; default: synthesised pink noise")
    add("--durations", default="2,3,full", help="net seconds of the test side (%(default)s)")
    add("--conditions", default="all", help="clean,noise,reverb,telephone,opus (%(default)s)")
    add("--env", type=Path, help="scratch environment; default: in the temporary folder")
    add("--cache", type=Path, help="folder that keeps Resemblyzer's embeddings between runs")
    add("--trim", action="store_true", help="apply Resemblyzer's own speech detection as well")
    add("--resamples", type=int, default=1000, help="bootstrap resamples (%(default)s)")
    add("--seed", type=int, default=0)
    add("--provider", default="auto", choices=["auto", "cpu", "cuda", "tensorrt"])
    add("--threads", type=int, default=1)
    options = parser.parse_args(arguments)
    options.env = options.env or Path(tempfile.gettempdir()) / "voxwatch-resemblyzer"
    return options


def main() -> int:
    try:
        compare(parsed())
    except VoxwatchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
