"""Which enrolled people a voiceprint could be taken for."""

from __future__ import annotations

from collections.abc import Mapping

from engine.scoring.scorer import CalibratedScorer, PreparedEmbeddings


def like_voices(
    scorer: CalibratedScorer,
    voice: PreparedEmbeddings,
    others: Mapping[str, PreparedEmbeddings],
    accept_llr: float,
) -> tuple[str, ...]:
    """Those of ``others`` whose likeness to ``voice`` reaches ``accept_llr``, likest first.

    A prototype is compared with the nearest of each other person's, as live speech would be, and
    the bound is that above which a claim is accepted: either may pass for the other.
    """
    likeness = {name: float(scorer.table(one, voice).llr.max()) for name, one in others.items()}
    alike = [name for name, llr in likeness.items() if llr >= accept_llr]
    return tuple(sorted(alike, key=lambda name: -likeness[name]))
