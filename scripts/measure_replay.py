"""How often replayed speech is accepted as the person, beside genuine speech and strangers.

For the speakers of trial lists: another utterance of the person, the enrolment played again as a
file and through a loudspeaker in a simulated room, a recording of the person through it, copy
synthesis (mel spectrum, Griffin and Lim's phases), and another person; at each stated pair of
rates, with 95 % intervals over speakers.

    python scripts/measure_replay.py models/bundles/default \
        ../shared/data/eval/trials_{tedx_ko,librispeech_chapters}.txt \
        --output models/report/evaluation/replay.json
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import msgspec

from engine.errors import VoxwatchError
from engine.model.bundle import load_bundle
from engine.speech.vad import SileroVad
from models.evaluation.bundle_system import BundleSystem
from models.evaluation.evaluate import EvaluationError, load_lists
from models.evaluation.replay import (
    ReplayRate,
    choose,
    evidence_by_kind,
    replay_rates,
    usable_files,
)


def measure(options: argparse.Namespace) -> list[ReplayRate]:
    """The rates of every list. Raises ``VoxwatchError`` where nothing can be measured."""
    system = BundleSystem(load_bundle(options.bundle), "cpu")
    if system.bundle.manifest.calibration is None:
        raise EvaluationError(f"{options.bundle} is not calibrated: calibrate it first")
    vad = SileroVad()
    rows: list[ReplayRate] = []
    for trials in load_lists(options.trials, options.audio_root, options.seed):
        cases = choose(trials, usable_files(trials, vad), options.per_speaker, options.seed)
        found = evidence_by_kind(trials, cases, system, system.decision_figures, vad, options.seed)
        drawn = {"resamples": options.resamples, "seed": options.seed}
        rows += replay_rates(trials.name, cases, found, **drawn)
    return rows


def parsed() -> argparse.Namespace:
    summary, _, rest = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        description=summary, epilog=rest, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("bundle", type=Path, help="a calibrated model bundle")
    add("trials", nargs="+", type=Path, help="trial lists in VoxCeleb's form")
    add("--output", type=Path, required=True, help="where the rates go, as JSON")
    add("--audio-root", type=Path, help="where paths start; default: each list's own folder")
    add("--per-speaker", type=int, default=6, help="enrolments of each speaker (%(default)s)")
    add("--resamples", type=int, default=1000, help="bootstrap resamples (%(default)s)")
    add("--seed", type=int, default=0)
    return parser.parse_args()


def main() -> int:
    options = parsed()
    try:
        rows = measure(options)
    except VoxwatchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    encoded = msgspec.json.encode(rows)
    options.output.write_bytes(msgspec.json.format(encoded, indent=1) + b"\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
