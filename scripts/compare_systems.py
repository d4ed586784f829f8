"""A bundle and its rivals side by side: the same trials, segments and conditions, one run.

The rivals are Resemblyzer (`scripts/resemblyzer_system.py`) and any bundles that ``--rival``
names, such as the one of `voxwatch models pull campplus`: an uncalibrated bundle is scored by its
raw cosine, a calibrated one by its ratio. Resemblyzer gets the net-speech segments that voxwatch
gets, after its own volume normalisation, through its own ``embed_utterance``. ``--trim`` applies
its own speech detection to them as well, as its ``preprocess_wav`` does.

Lists that are not ``--reliable`` are heard clean only. Writes the comparison, our full report as
`voxwatch evaluate` does, and what stated error rates come to; with ``--spoof`` how often cloned
voices are accepted too.

    python scripts/compare_systems.py --output runs/comparison \
        --noise ../shared/data/noise --cache runs/embeddings \
        --reliable tedx_ko --reliable librispeech_chapters --rival bundles/campplus \
        ../shared/data/eval/trials_*.txt

With ``--cache`` no system embeds a segment twice, be it in another run.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from engine.errors import VoxwatchError
from engine.model.bundle import load_bundle
from models.evaluation.bundle_system import BundleSystem
from models.evaluation.comparison import Line, as_markdown, compared
from models.evaluation.embedding_cache import CachedSystem, EmbeddingCache
from models.evaluation.embeddings import Cuts, embed_trials
from models.evaluation.evaluate import (
    checked_cuts,
    listed,
    load_lists,
    make_writable,
    parse_conditions,
    parse_durations,
    settings,
)
from models.evaluation.report import (
    METHOD_NOTES,
    EvaluationReport,
    mean_rows,
    row,
    write,
)
from models.evaluation.scoring import Cell, left_out, score_lists
from models.evaluation.spoofing import read_spoof_list, spoof_acceptance
from models.evaluation.stated_rates import as_table, stated_rates
from models.evaluation.trials import TrialList
from models.sound.conditions import CONDITIONS, Condition, Degradation
from scripts.resemblyzer_system import VERSION, WIDTH, Resemblyzer


def _bundle(folder: Path | None, options: argparse.Namespace) -> tuple[BundleSystem, CachedSystem]:
    system = BundleSystem(load_bundle(folder), options.provider, threads=options.threads)
    manifest = system.bundle.manifest
    name = f"{manifest.name}-{manifest.model_sha256[:16]}-{system.width}.cache"
    cache = EmbeddingCache(options.cache and options.cache / name, system.width)
    return system, CachedSystem(system, cache)


def _resemblyzer(options: argparse.Namespace, stack: ExitStack) -> CachedSystem:
    name = f"resemblyzer-{VERSION}{'-trim' if options.trim else ''}.cache"
    system = Resemblyzer(options.env, trim=options.trim, threads=options.threads)
    stack.callback(system.close)
    return CachedSystem(system, EmbeddingCache(options.cache and options.cache / name, WIDTH))


def _score(
    lists: Sequence[TrialList],
    systems: Sequence[CachedSystem],
    cuts: Cuts,
    options: argparse.Namespace,
) -> tuple[list[list[Cell]], list[dict[str, Any]], list[str]]:
    """The cells of every system, what the lists hold, and the recordings that were left out."""
    if not lists:
        return [[] for _ in systems], [], []
    degrade = Degradation(options.noise, seed=options.seed)
    embedded = embed_trials(lists, systems, cuts, degrade)
    if options.fill:
        return [[] for _ in systems], [], []
    cells = [
        score_lists(lists, system, rows, cuts, resamples=options.resamples, seed=options.seed)
        for system, rows in zip(systems, embedded, strict=True)
    ]
    unused = left_out(lists, embedded[-1], cuts, systems[-1].min_speech_s)
    return cells, [listed(trials, embedded[-1]) for trials in lists], unused


def compare(options: argparse.Namespace) -> list[Line]:
    """Run all systems and write what the module says into ``options.output``."""
    conditions: list[Condition] = parse_conditions(options.conditions)
    cuts = replace(
        checked_cuts(parse_durations(options.durations), conditions, "drop"),
        degraded=tuple(parse_durations(options.degraded_durations)),
    )
    make_writable(options.output)
    lists = load_lists(options.trials, options.audio_root, options.seed, options.reliable)
    with ExitStack() as stack:
        rivals = [] if options.no_resemblyzer else [_resemblyzer(options, stack)]
        rivals += [_bundle(folder, options)[1] for folder in options.rival]
        ours, cached = _bundle(options.bundle, options)
        systems = [*rivals, cached]
        cells: list[list[Cell]] = [[] for _ in systems]
        described: list[dict[str, Any]] = []
        unused: list[str] = []
        for reliable, those in ((True, cuts), (False, replace(cuts, conditions=("clean",)))):
            some = [one for one in lists if one.reliable == reliable]
            found, of_lists, left = _score(some, systems, those, options)
            described += of_lists
            unused += left
            for own, new in zip(cells, found, strict=True):
                own += new
        for system in systems:
            print(f"{system.computed} embeddings of {system.name} computed", file=sys.stderr)
        if options.fill:
            return []
        about = settings(cuts, Degradation(options.noise, seed=options.seed), options.resamples)
        result = _write(options, systems, cells, about)
        _write_ours(options, ours, cells[-1], described, unused, about)
        if options.spoof:
            _write_spoofing(options, ours, cached)
    return result


def _write(
    options: argparse.Namespace,
    systems: Sequence[CachedSystem],
    cells: Sequence[Sequence[Cell]],
    about: dict[str, Any],
) -> list[Line]:
    result: list[Line] = []
    for rival, rival_cells in zip(systems[:-1], cells, strict=False):
        result += compared(rival.name, rival_cells, cells[-1])
    names = [system.name for system in systems]
    page = as_markdown(result, names, about)
    encoded = msgspec.json.encode({"systems": names, "settings": about, "lines": result})
    _json(options.output / "comparison.json", encoded)
    (options.output / "comparison.md").write_text(page, encoding="utf-8")
    return result


def _write_ours(
    options: argparse.Namespace,
    ours: BundleSystem,
    cells: Sequence[Cell],
    lists: list[dict[str, Any]],
    unused: list[str],
    about: dict[str, Any],
) -> None:
    report = EvaluationReport(
        system=ours.name,
        model=ours.described(),
        settings=about,
        lists=lists,
        notes=list(METHOD_NOTES),
        rows=[row(cell) for cell in cells],
        means=mean_rows(cells),
        left_out=unused,
    )
    write(report, cells, options.output)
    rates = stated_rates(
        cells, ours.decision_figures, resamples=options.resamples, seed=options.seed
    )
    _json(options.output / "stated_rates.json", msgspec.json.encode(rates))
    table = "\n".join(["# Stated and measured error rates", "", *as_table(rates)])
    (options.output / "stated_rates.md").write_text(table + "\n", encoding="utf-8")


def _write_spoofing(options: argparse.Namespace, ours: BundleSystem, cached: CachedSystem) -> None:
    trials = read_spoof_list(options.spoof)
    found = spoof_acceptance(trials, cached, ours.decision_figures)
    _json(options.output / "spoofing.json", msgspec.json.encode(found))


def _json(path: Path, encoded: bytes) -> None:
    path.write_bytes(msgspec.json.format(encoded, indent=1) + b"\n")


def parsed(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    summary, _, rest = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        description=summary, epilog=rest, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("trials", nargs="+", type=Path, help="trial lists in VoxCeleb's form, or folders")
    add("--output", type=Path, required=True, help="folder for comparison.json and comparison.md")
    add("--bundle", type=Path, help="our model bundle; default: the one that ships with voxwatch")
    add("--fill", action="store_true", help="embed and no more: an uncalibrated bundle will do")
    add("--no-resemblyzer", action="store_true", help="compare with bundles only")
    add("--spoof", type=Path, help="list of real and cloned pairs, beside its sound")
    add("--rival", type=Path, action="append", default=[], help="another bundle; may repeat")
    add("--reliable", action="append", default=[], help="a list whose labels are right; may repeat")
    add("--audio-root", type=Path, help="where paths start; default: each list's own folder")
    add("--noise", type=Path, help="folder of noise pieces; default: synthesised pink noise")
    add("--durations", default="1,2,3,5,full", help="net seconds, clean (%(default)s)")
    add("--degraded-durations", default="2,3", help="those of other conditions (%(default)s)")
    add("--conditions", default="all", help=f"{','.join(CONDITIONS)} (%(default)s)")
    add("--env", type=Path, help="scratch environment; default: in the temporary folder")
    add("--cache", type=Path, help="folder that keeps embeddings between runs")
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
