"""voxwatch and its rivals side by side: the same trials, segments and conditions, one run.

The rivals are Resemblyzer (`scripts/resemblyzer_system.py`) and any bundles that ``--rival``
names, such as the one of `voxwatch models pull campplus`; both are scored by their raw cosine.
Resemblyzer gets the net-speech segments that voxwatch gets, after its own volume normalisation,
through its own ``embed_utterance``. ``--trim`` applies its own speech detection to them as well,
as its ``preprocess_wav`` does.

    python scripts/compare_resemblyzer.py --output runs/comparison \
        --noise ../shared/data/noise --cache runs/resemblyzer_cache \
        --reliable tedx_ko --reliable librispeech_chapters --rival bundles/campplus \
        ../shared/data/eval/trials_*.txt

The cache knows a segment by its samples: with a new model only our side is computed again,
and a segment that changed in any way is never answered from it.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from engine.errors import VoxwatchError
from engine.model.bundle import load_bundle
from models.evaluation.bundle_system import BundleSystem
from models.evaluation.embeddings import Float64, SystemUnderTest, embed_trials
from models.evaluation.evaluate import (
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
from scripts.resemblyzer_system import VERSION, Cache, Resemblyzer

# The largest ratio of our EER to a rival's that is good enough: clean, and degraded.
RESEMBLYZER_FLOORS = (0.6, 0.5)
BUNDLE_FLOORS = (1.5, 1.0)  # of a bundle that is far larger than ours


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One list (or the mean), duration, condition and rival: EER of both, and ours over theirs."""

    list: str
    lists: int
    duration_s: float | None
    condition: str
    trials: int
    targets: int
    speakers: int
    rival: str
    theirs: Estimate
    cosine: Estimate | None = None
    calibrated: Estimate | None = None
    ratio: Estimate | None = None
    floor: float


def compared(rival: str, theirs: Sequence[Cell], ours: Sequence[Cell] | None) -> list[Line]:
    """A line for every cell, then for the means over the reliable lists."""
    absent: list[Cell | None] = [None] * len(theirs)
    pairs = list(zip(theirs, ours or absent, strict=True))
    for their, our in pairs:
        if our is not None and not np.array_equal(their.target, our.target):
            raise AssertionError("the systems were scored on different trials")
    usable = [pair for pair in pairs if pair[0].cosine.figures]
    single = [_line(rival, their.list, [(their, our)]) for their, our in usable]
    groups: dict[tuple[float, str], list[tuple[Cell, Cell | None]]] = {}
    for pair in usable:
        if in_mean(pair[0]):
            groups.setdefault((pair[0].duration_s, pair[0].condition), []).append(pair)
    return single + [_line(rival, "mean", group) for group in groups.values()]


def _line(rival: str, name: str, group: list[tuple[Cell, Cell | None]]) -> Line:
    floors = RESEMBLYZER_FLOORS if rival.startswith("Resemblyzer") else BUNDLE_FLOORS
    cells = [their for their, _ in group]
    first = cells[0]
    their_eer = _mean_eer([cell.cosine for cell in cells])
    figures: dict[str, Estimate] = {"theirs": _figure(*their_eer)}
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
        rival=rival,
        floor=floors[first.condition != "clean"],
        **figures,
    )


def _mean_eer(scored: Sequence[Any]) -> tuple[float, Float64]:
    value = float(np.mean([one.figures["eer"] for one in scored]))
    none: NDArray[np.float64] = np.empty(0)
    return value, np.mean([one.resampled.get("eer", none) for one in scored], axis=0)


def _figure(value: float, resampled: Float64) -> Estimate:
    return Estimate(value, *interval(resampled))


def as_markdown(all_lines: Sequence[Line], names: Sequence[str], about: dict[str, Any]) -> str:
    """The comparison as a page of tables: a table for each list, then one of the means."""
    page = [f"# {' and '.join(names)}", ""]
    page += [f"- {name}: {value}" for name, value in about.items()]
    page += [
        "- EER in per cent, with 95 % intervals (bootstrap over speakers); the ratio is our"
        " calibrated score's EER over the rival's raw cosine's, resampled in pairs.",
        "- All systems get the same net-speech segments; enrolment is all net speech, clean.",
    ]
    names_of_lists = dict.fromkeys(line.list for line in all_lines if line.list != "mean")
    for name in (*names_of_lists, "mean"):
        chosen = [line for line in all_lines if line.list == name]
        if not chosen:
            continue
        chosen.sort(key=lambda line: (line.duration_s or np.inf, line.condition))
        page += ["", f"## {'Mean over the lists' if name == 'mean' else name}", ""]
        page.append(
            "| net speech | condition | lists | targets | trials | rival | its EER | ours, cosine |"
            " ours, calibrated | ratio | floor |"
        )
        page.append("|---|---|---|---|---|---|---|---|---|---|---|")
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
        line.rival,
        shown("eer", line.theirs),
        shown("eer", line.cosine),
        shown("eer", line.calibrated),
        shown("ratio", line.ratio),
        reached,
    ]
    return "| " + " | ".join(map(str, cells)) + " |"


def _system(folder: Path | None, options: argparse.Namespace) -> BundleSystem:
    return BundleSystem(load_bundle(folder), options.provider, threads=options.threads)


def compare(options: argparse.Namespace) -> list[Line]:
    """Run all systems and write ``comparison.json`` and ``comparison.md``."""
    conditions: list[Condition] = parse_conditions(options.conditions)
    cuts = checked_cuts(parse_durations(options.durations), conditions, "drop")
    make_writable(options.output)
    lists = load_lists(options.trials, options.audio_root, options.seed, options.reliable)
    degrade = Degradation(options.noise, seed=options.seed)
    name = f"resemblyzer-{VERSION}{'-trim' if options.trim else ''}.cache"
    cache = Cache(options.cache and options.cache / name)
    print(f"{len(cache)} embeddings of Resemblyzer in the cache", file=sys.stderr)
    theirs = Resemblyzer(options.env, cache, trim=options.trim, threads=options.threads)
    rivals: list[SystemUnderTest] = [theirs]
    ours: list[SystemUnderTest] = []
    if not options.only_resemblyzer:
        rivals += [_system(folder, options) for folder in options.rival]
        ours.append(_system(options.bundle, options))
    systems = [*rivals, *ours]
    with ExitStack() as stack:
        stack.callback(cache.close)
        stack.callback(theirs.close)
        embeddings = embed_trials(lists, systems, cuts, degrade)
    print(f"{theirs.computed} embeddings of Resemblyzer computed", file=sys.stderr)
    cells = [
        score_lists(lists, system, rows, cuts, resamples=options.resamples, seed=options.seed)
        for system, rows in zip(systems, embeddings, strict=True)
    ]
    result: list[Line] = []
    for rival, rival_cells in zip(rivals, cells, strict=False):
        result += compared(rival.name, rival_cells, cells[-1] if ours else None)
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
    add("--rival", type=Path, action="append", default=[], help="another bundle; may repeat")
    add("--reliable", action="append", default=[], help="a list whose labels are right; may repeat")
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
