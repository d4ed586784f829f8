"""What fp16 and int8 cost in accuracy: the same trials, network and calibration, in each precision.

    python scripts/compare_precisions.py runs/mine/whitened.pt models/bundles/default \\
        trials.txt --audio-root wav --json figures.json
"""

from __future__ import annotations

import argparse
import shlex
import sys
import tempfile
from pathlib import Path
from typing import Any

import msgspec

from engine.model.bundle import Bundle, load_bundle, write_bundle
from engine.model.manifest import MODEL_FILE
from models.evaluation import evaluate as evaluation
from models.network.checkpoint import load_trained
from models.network.export import variants
from scripts.figures import tell
from streamer.bench.engine import machine

DURATIONS_S = (2.0, 3.0)


def compare(
    checkpoint: Path,
    bundle: Bundle,
    trials: list[Path],
    audio_root: Path | None,
    reliable: list[str],
) -> list[dict[str, Any]]:
    """Mean figures of each precision, clean, by duration; calibration and cohort of ``bundle``."""
    network, _ = load_trained(checkpoint)
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        for precision, model, parity in variants(network):
            manifest = msgspec.structs.replace(bundle.manifest, precision=precision)
            folder = Path(scratch) / precision
            written = write_bundle(folder, manifest, {MODEL_FILE: model}, bundle.cohort)
            report = evaluation.run(
                trials,
                Path(scratch) / f"{precision}-report",
                audio_root=audio_root,
                reliable=reliable,
                bundle=folder,
                durations_s=DURATIONS_S,
                conditions=("clean",),
                resamples=0,
            )
            same = written.manifest.model_sha256 == bundle.manifest.sha256[MODEL_FILE]
            for mean in report.means:
                rows.append(
                    {
                        "precision": precision,
                        "is_the_bundle": same,
                        "bytes": parity.bytes,
                        "duration_s": mean.duration_s,
                        "trials": mean.trials,
                        "eer_percent": round(100 * mean.calibrated["eer"].value, 3),
                        "cllr": round(mean.calibrated["cllr"].value, 4),
                    }
                )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path, help="the network that the bundle was made of")
    parser.add_argument("bundle", type=Path)
    parser.add_argument("trials", type=Path, nargs="+")
    parser.add_argument("--audio-root", type=Path)
    parser.add_argument("--reliable", action="append", default=[], help="as of `evaluate`")
    parser.add_argument("--json", type=Path, help="write the figures there")
    options = parser.parse_args()
    bundle = load_bundle(options.bundle)
    rows = compare(options.checkpoint, bundle, options.trials, options.audio_root, options.reliable)
    if not any(row["is_the_bundle"] for row in rows):
        sys.exit(f"{options.bundle} was not made of {options.checkpoint}: name its checkpoint")
    found = {
        "command": shlex.join(["python", *sys.argv]),
        "machine": machine(bundle, "cpu"),
        "figures": rows,
    }
    tell(found, options.json)


if __name__ == "__main__":
    main()
