"""Changes of voice and segmentations in figures: the engine's, or those of anybody's RTTM."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from models.benchmark.estimates import Draws, percent, rate, ratio
from models.benchmark.results import ConversationResult
from models.benchmark.tables import PER_HOUR, Cells, Table
from models.evaluation.diarisation import TOLERANCES_S, find_changes, overlap
from models.evaluation.rttm import RttmError, Turns
from models.metrics import draw_speakers

SEVERAL = ("takeover", "alternation", "meeting")  # kinds where voices take turns

Float64 = NDArray[np.float64]


def changes_table(results: Sequence[ConversationResult], draws: Draws) -> Table:
    """Changes of voice that the engine dated without any enrolment."""
    table = Table(
        "changes",
        "Changes of voice, nobody enrolled",
        "Precision, recall and F1 of changes within 0.5 and 1 s of the pause between two voices;"
        " those further off, per hour of speech;"
        " purity and coverage of the segments between changes, and of all segments of one name"
        " together, in per cent.",
    )
    usable = [result for result in results if result.unclaimed is not None]
    groups = {", ".join(SEVERAL): [r for r in usable if r.truth.kind in SEVERAL]}
    for result in usable:
        groups.setdefault(result.truth.kind, []).append(result)
    for name, group in groups.items():
        if group:
            pairs = [(r.turns, r.unclaimed.turns) for r in group if r.unclaimed is not None]
            weights = draws.weights([r.truth for r in group])
            row: Cells = {"conversations": name, "of them": len(group)}
            table.rows.append(row | segmentation_cells(pairs, weights))
    return table


def segmentation_cells(pairs: Sequence[tuple[Turns, Turns]], weights: Float64) -> Cells:
    """Figures over pairs of reference and hypothesis turns."""
    cells: Cells = {}
    for tolerance_s in TOLERANCES_S:
        found = [find_changes(reference, told, tolerance_s) for reference, told in pairs]
        hits = [float(f.hits) for f in found]
        told = [float(f.hypothesised) for f in found]
        wanted = [float(f.reference) for f in found]
        both = [a + b for a, b in zip(told, wanted, strict=True)]
        name = f"±{tolerance_s:g} s"
        cells[f"precision {name}"] = ratio(hits, told, weights)
        cells[f"recall {name}"] = ratio(hits, wanted, weights)
        cells[f"F1 {name}"] = ratio([2 * hit for hit in hits], both, weights)
        false = [a - b for a, b in zip(told, hits, strict=True)]
    for clusters in (False, True):
        overlaps = [overlap(*pair, clusters=clusters) for pair in pairs]
        speech = [o.speech_s for o in overlaps]
        if not clusters:  # of the widest tolerance
            cells["false /h"] = rate(false, [s / PER_HOUR for s in speech], weights)
        of = "cluster" if clusters else "segment"
        pure, covered = [o.pure_s for o in overlaps], [o.covered_s for o in overlaps]
        cells[f"{of} purity %"] = percent(ratio(pure, speech, weights))
        cells[f"{of} coverage %"] = percent(ratio(covered, speech, weights))
    return cells


def rttm_table(
    reference: Mapping[str, Turns], hypothesis: Mapping[str, Turns], resamples: int, seed: int
) -> Table:
    """Another system's RTTM against the reference; intervals from drawing files again.

    Raises ``RttmError`` where the two have no file in common. A file that the hypothesis does
    not name counts as one without any speech in it.
    """
    if not reference.keys() & hypothesis.keys():
        raise RttmError(
            f"the RTTM names none of the reference's {len(reference)} files: the second field of"
            f" its lines must be one of theirs, such as {min(reference)!r}"
        )
    table = Table(
        "changes",
        "Changes of voice and segments",
        "Precision, recall and F1 of changes within 0.5 and 1 s of the pause between two voices;"
        " those further off, per hour of speech;"
        " purity and coverage of segments and of all segments of one name together, in per cent.",
    )
    groups = {"all files": list(reference)}
    for file in reference:
        groups.setdefault(file.rpartition("-")[0] or file, []).append(file)
    for name, files in groups.items():
        pairs = [(reference[file], hypothesis.get(file, ())) for file in files]
        row: Cells = {"conversations": name, "of them": len(files)}
        weights = draw_speakers(len(files), resamples, seed)
        table.rows.append(row | segmentation_cells(pairs, weights))
    return table
