"""Which held-out speakers have labels that can be believed, by what CAM++ hears.

    python scripts/check_labels.py --cache runs/cache --heldout runs/mine/heldout.txt \
        --teacher campplus_cn_en_common.pt --output runs/mine/reliable.txt

Crowd-sourced accounts are shared by several people, and one person may have several. A speaker is
left out where any utterance agrees too little with the speaker's others, and of two speakers who
sound like one person the one with fewer utterances. Calibration is fitted on those who are left.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from engine.format import SAMPLE_RATE_HZ, unit
from models.network.campplus import HOP_SAMPLES, load_campplus
from models.sound.corpus import Corpus
from models.training.teacher import Embed, teacher_embed

# Mean cosines about the mean of all. Speakers recorded one by one (speechocean762) lie above the
# first, and no two of them above the second.
LEAST_OWN = 0.25  # of an utterance with the others of its speaker
MOST_OTHER = 0.6  # of two speakers' utterances
LEAST_S, MOST_S = 1.0, 10.0  # of an utterance: shorter ones are said again, longer ones cut

Float32 = NDArray[np.float32]


def heard(corpus: Corpus, names: list[str], embed: Embed) -> dict[str, Float32]:
    """By speaker, the embeddings ``(utterances, D)`` of what each of them said."""
    least, most = (round(s * SAMPLE_RATE_HZ) for s in (LEAST_S, MOST_S))
    found = {}
    for name in names:
        sounds = [corpus.waveform(u)[:most] for u in corpus.by_speaker[name]]
        long = [x if len(x) >= least else np.resize(x, least) for x in sounds]
        whole_hops = [x[: len(x) // HOP_SAMPLES * HOP_SAMPLES] for x in long]
        found[name] = np.concatenate([embed(x[None]) for x in whole_hops])
    return found


def doubtful(utterances: Mapping[str, Float32]) -> dict[str, str]:
    """Speakers to leave out and why, from their utterances' embeddings ``(N, D)``."""
    mean = np.concatenate([unit(e) for e in utterances.values()]).mean(axis=0)
    own = {name: unit(unit(e) - mean) for name, e in utterances.items()}
    found: dict[str, str] = {}
    for name, e in own.items():
        others = (e @ e.T - np.eye(len(e))).sum(axis=1) / max(1, len(e) - 1)
        if len(e) > 1 and others.min() < LEAST_OWN:
            found[name] = f"an utterance agrees with the others at {others.min():.2f}"
    centres = {name: e.mean(axis=0) for name, e in own.items() if name not in found}
    for name in centres:
        for other in centres:
            fewer = (len(own[name]), name) < (len(own[other]), other)
            if fewer and float(centres[name] @ centres[other]) > MOST_OTHER:
                found[name] = f"sounds like {other}"
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--heldout", type=Path, required=True)
    parser.add_argument("--teacher", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    given = parser.parse_args()
    names = given.heldout.read_text().splitlines()
    embed = teacher_embed(load_campplus(given.teacher), torch.device("cpu"))
    left_out = doubtful(heard(Corpus(given.cache), names, embed))
    for name, why in left_out.items():
        print(f"{name}: {why}")
    kept = [name for name in names if name not in left_out]
    given.output.write_text("".join(f"{name}\n" for name in kept))
    print(f"{len(kept)} of {len(names)} speakers kept: {given.output}")


if __name__ == "__main__":
    main()
