"""The one question that decisions and enrolments ask of a model: the embedding of a span.

Speech is pushed as it is found, turn by turn, and every place in it is an amount of net speech
of the stream in samples at 16 kHz: the silence between does not count. What a bundle's network
needs to answer is its own business: a frames graph computes each frame once and adds up blocks
(:mod:`engine.spans.frames`), a graph for windows embeds windows (:mod:`engine.spans.windows`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from engine.format import SAMPLE_RATE_HZ
from engine.jobs import Job, Result
from engine.spans.timeline import Timeline

Float32 = NDArray[np.float32]

LEAST_SAMPLES = round(0.4 * SAMPLE_RATE_HZ)  # Less speech than 0.4 s says nothing of a voice.
KEPT_S = 60.0  # of net speech before the newest place asked for; what is older is merged


@dataclass(frozen=True, slots=True)
class Mark:
    """Spans that end by ``position`` can be asked for, once the jobs until then are answered.

    The position lies in the turn that begins at ``turn``, and with ``ends_turn`` is its end.
    ``at`` is the media sample of the sound by which this became so: a network that looks ahead
    knows a place only when it has heard some more speech, or that the turn is over.
    """

    turn: int
    position: int
    at: int
    ends_turn: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class BlockHeads:
    """What a network says of blocks besides who speaks: ``values`` ``(N, H)``, by ``names``.

    Block ``i`` is the speech ``[starts[i], ends[i])``. A network may say nothing: no blocks then.
    """

    names: tuple[str, ...]
    starts: tuple[int, ...]
    ends: tuple[int, ...]
    values: Float32


class Spans(Protocol):
    """What may be asked of a stream's speech."""

    @property
    def timeline(self) -> Timeline:
        """Where the speech lies in the media."""

    @property
    def grain(self) -> int:
        """A shorter span inside a turn may be answered by what was said around it."""

    def failure(self, start: int, end: int, /) -> str | None:
        """Why there is no embedding of ``[start, end)``, where its jobs failed: ask it first."""

    def heard(
        self, spans: Sequence[tuple[int, int]], /, *, margins: bool = False
    ) -> tuple[Float32, Float32]:
        """Unit embeddings ``(N, D)`` of spans ``[start, end)``, which end by the newest mark.

        And how those were heard, ``(N, 3)``: mean SNR and C50 in dB, and the natural logarithm of
        the embedding's magnitude; NaN where it is not known. Of overlapped blocks SNR and C50
        count as well.

        A span that reaches further back than is kept begins where that begins; ends are moved
        to the nearest block. Blocks in which two speak at once count for nobody, unless there
        are no others. Raises ``LookupError`` for a span of which nothing is known.

        With ``margins`` a span within one turn that ends with it is heard with the silence behind
        it, unless another voice speaks there too. Those of the last two turns are known. Windows
        have none.
        """


class SpeechEmbeddings(Spans, Protocol):
    """The speech of one stream, and the embedding of any span of it. It does no I/O.

    The same speech gives the same marks and embeddings however it was cut into pushes, and
    whatever batches its jobs ran in (to the tolerance that a backend states).
    """

    @property
    def position(self) -> int:
        """Net speech pushed so far."""

    @property
    def ready(self) -> int:
        """Spans that end by this place can be asked for now. It never falls."""

    def set_hop(self, hop_s: float, /) -> None:
        """Marks come every ``hop_s`` from now on, as an overloaded server asks."""

    def push(self, start: int, samples: Float32, /) -> Iterator[Mark]:
        """Speech whose first sample is media sample ``start``; gives the places known by it."""

    def end_turn(self, at: int, /) -> Iterator[Mark]:
        """The turn is over, as is known at media sample ``at``: its last places are known too.

        The next turn is computed as the first of a stream is: nothing of this one is in the
        embedding of a span that begins after it. Without speech since the last turn nothing
        happens.
        """

    def jobs(self, first: int, /) -> list[Job]:
        """Jobs that can run now, not given out before, numbered from ``first`` on."""

    def receive_result(self, result: Result, /) -> None:
        """The answer to a job. Raises ``KeyError`` for one that was not asked for."""

    @property
    def waiting_since(self) -> int | None:
        """The media sample up to which the oldest unanswered job reaches, if there is one."""

    def heads(self, start: int, end: int, /) -> BlockHeads:
        """What is said of the blocks in ``[start, end)``, which ends by :attr:`ready`."""

    def settle(self, position: int, /) -> None:
        """Everything up to this place has been asked for: what is too old may be merged."""
