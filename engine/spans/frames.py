"""Spans of a stream by a frames graph: each frame of its speech is computed once.

The speech of a turn is cut into chunks of some blocks. A chunk goes through the graph with the
states that the chunk before it left, so that one is under way at a time, and what comes back are
the sums of the blocks of ``delay_blocks`` ago. At the end of a turn silence goes in until the
last of its blocks has come out, and a margin behind it, by which the end of short speech tells
more: its blocks count in verdicts on the turn, and not where speech of the stream is compared with
other speech of it. What the turn's last block has room for is silence that counts with it. The next
turn begins with fresh states, and with no margin before it: features less their mean so far are
far off after silence, and 16.5 % of the held-out takeovers were missed, for 9.5.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from engine.audio.buffer import AudioBuffer
from engine.format import SAMPLE_RATE_HZ
from engine.jobs import FramesJob, FramesResult, Job, JobFailure, Result
from engine.model.frames import FRAME_SAMPLES, SpanPooling
from engine.model.manifest import unheard
from engine.spans.block_sums import KEPT_SAMPLES, BlockSums
from engine.spans.interface import BlockHeads, Mark
from engine.spans.margins import Margins
from engine.spans.saved import Chunk, Place, SavedSpans, packed, unpacked
from engine.spans.timeline import Timeline

Float32 = NDArray[np.float32]

OVERLAP = "overlap_logit"  # the head above zero where two speak at once is likelier than not
HEARD_SHARE = 0.5  # of a span's blocks that must be known for it to have an embedding


class FrameSpans:
    """One stream's speech; :class:`engine.spans.interface.SpeechEmbeddings` says what it does.

    A mark comes every ``hop_s``, and a chunk is as long as that where the look-ahead allows.
    """

    def __init__(self, pooling: SpanPooling, hop_s: float) -> None:
        figures = pooling.figures
        self._pooling = pooling
        self._block, self._delay = figures.block_samples, figures.delay_blocks
        self._margin = figures.margin_blocks * self._block
        self._hop = self._chunk = 0
        self.set_hop(hop_s)
        self.timeline = Timeline()
        self.grain = self._block
        self._sound = AudioBuffer()  # indexed by net speech
        self._turn = self._cut = 0  # where the turn began, and how far chunks reach
        self._marked = self._known = 0  # the last mark, and what will be known by the chunks so far
        self._planned: deque[Chunk] = deque()  # the first may be under way
        self._running: int | None = None  # number of the job under way
        # Places of the blocks that are in the graph, when it has run all the chunks so far and
        # when it has run those that were answered.
        self._coming = self._nothing()
        self._inside = self._nothing()
        self._states = np.zeros(figures.state_size, np.float32)
        self._margins = Margins()
        self._heads = figures.heads
        self._overlap = self._heads.index(OVERLAP) if OVERLAP in self._heads else None
        self._acoustics = figures.acoustics
        self._blocks = BlockSums(figures.pooled_channels, len(self._heads))
        self._lost: list[tuple[Place, str]] = []
        self.ready = 0

    @property
    def position(self) -> int:
        """Net speech pushed so far."""
        return self.timeline.position

    @property
    def waiting_since(self) -> int | None:
        """The media sample up to which the oldest unanswered chunk reaches."""
        return self._planned[0].at if self._planned else None

    def set_hop(self, hop_s: float) -> None:
        """Marks come every ``hop_s`` from now on. Frames cost the same whatever the hop."""
        blocks = max(round(hop_s * SAMPLE_RATE_HZ / self._block), 1)
        self._hop = blocks * self._block
        self._chunk = blocks // -(-blocks // max(self._delay, 1))

    def push(self, start: int, samples: Float32) -> Iterator[Mark]:
        """Speech whose first sample is media sample ``start``."""
        self.timeline.push(start, len(samples))
        self._sound.append(samples)
        size = self._chunk * self._block
        while self.position - self._cut >= size:
            end = self._cut + size
            self._plan(end, self.timeline.ends(end))
            if self._known >= self._marked + self._hop:
                yield self._mark(self.timeline.ends(end))

    def end_turn(self, at: int) -> Iterator[Mark]:
        """The turn is over: silence goes in after it until all of it has come out."""
        if self.position == self._turn:
            return
        margin = self._margin
        while self._known < self.position:
            margin -= self._plan(self.position, at, margin)
            if self._marked + self._hop <= self._known < self.position:
                yield self._mark(at)
        yield self._mark(at, ends_turn=True)
        self._turn, self._coming = self.position, self._nothing()

    def jobs(self, first: int) -> list[Job]:
        """The next chunk, unless one is under way."""
        if self._running is not None or not self._planned:
            return []
        chunk = self._planned[0]
        if chunk.fresh:
            self._begin()
        samples = np.zeros(chunk.blocks * self._block, np.float32)
        speech = self._sound.slice(chunk.start, chunk.end)
        samples[: len(speech)] = speech
        frames = chunk.counted // FRAME_SAMPLES
        self._running = first
        return [FramesJob(first, samples, frames, self._states, chunk.at)]

    def receive_result(self, result: Result) -> None:
        """The answer to the chunk under way. Raises ``KeyError`` for any other.

        Raises ``ValueError`` where it is not of as many blocks as the chunk.
        """
        if result.number != self._running:
            raise KeyError(result.number)
        chunk, self._running = self._planned.popleft(), None
        self._sound.forget(chunk.end)
        if isinstance(result, FramesResult):
            self._states = result.states
            self._take(chunk, result)
        else:
            message = result.message if isinstance(result, JobFailure) else "not the sums of frames"
            self._lose(chunk, message)

    def failure(self, start: int, end: int) -> str | None:
        """Why there is no embedding, where most of the span's chunks failed."""
        lost, message = 0, None
        for (a, b), said in self._lost:
            shared = min(b, end) - max(a, start)
            if shared > 0:
                lost, message = lost + shared, said
        return message if lost > HEARD_SHARE * (end - start) else None

    def heard(self, spans: Sequence[Place], *, margins: bool = False) -> tuple[Float32, Float32]:
        """Unit embeddings ``(N, D)`` of the sums over the blocks of each span.

        And how those were heard, ``(N, 3)``, SNR and C50 where the graph says them.
        """
        said, sums = unheard(len(spans)), self._blocks.between(spans)
        if margins:
            self._margins.count(sums, spans)
        embeddings, said[:, -1] = self._pooling.embed(sums)
        if self._acoustics is not None:
            said[:, :-1] = self._blocks.means(spans, self._acoustics)
        return embeddings, said

    def heads(self, start: int, end: int) -> BlockHeads:
        """What the graph says of the blocks besides."""
        return self._blocks.heads(self._heads, start, end)

    def settle(self, position: int) -> None:
        """Merge blocks that are too old, and forget what else was known of that time."""
        self._blocks.settle(position)
        before = position - KEPT_SAMPLES
        self.timeline.forget(before)
        self._lost = [one for one in self._lost if one[0][1] > before]

    def save(self) -> bytes:
        """All there is to the stream's speech, so that another process can go on with it."""
        timeline, sound = self.timeline, self._sound
        saved = SavedSpans(
            hop_s=self._hop / SAMPLE_RATE_HZ,
            runs=timeline.all_runs(),
            position=timeline.position,
            media=timeline.media,
            sound_start=sound.start,
            sound=packed(sound.slice(sound.start, sound.end)),
            turn=self._turn,
            cut=self._cut,
            marked=self._marked,
            known=self._known,
            planned=list(self._planned),
            coming=list(self._coming),
            inside=list(self._inside),
            states=packed(self._states),
            margins=self._margins.saved(),
            blocks=self._blocks.saved(),
            lost=list(self._lost),
            ready=self.ready,
        )
        return msgspec.msgpack.encode(saved)

    @classmethod
    def restore(cls, pooling: SpanPooling, data: bytes) -> FrameSpans:
        """The speech that was saved, bit for bit. Raises ``msgspec.DecodeError`` for other bytes.

        ``pooling`` is of the same bundle.
        """
        saved = msgspec.msgpack.decode(data, type=SavedSpans)
        found = cls(pooling, saved.hop_s)
        found.timeline = Timeline(saved.runs, saved.position, saved.media)
        found._sound = AudioBuffer(saved.sound_start)
        found._sound.append(unpacked(saved.sound, -1))
        found._turn, found._cut = saved.turn, saved.cut
        found._marked, found._known = saved.marked, saved.known
        found._planned = deque(saved.planned)
        found._coming, found._inside = deque(saved.coming), deque(saved.inside)
        found._states = unpacked(saved.states, -1)
        channels = pooling.figures.pooled_channels
        found._margins = Margins.restored(saved.margins, channels)
        found._blocks = BlockSums.restored(saved.blocks, channels, len(found._heads))
        found._lost, found.ready = saved.lost, saved.ready
        return found

    def _plan(self, end: int, at: int, margin: int = 0) -> int:
        """One chunk more, of the speech up to ``end`` and silence where that is too short.

        Gives how many samples of the ``margin`` there was room for.
        """
        end = min(end, self._cut + self._chunk * self._block)
        fresh = self._cut == self._turn
        room = self._chunk * self._block - (end - self._cut)
        after = min(margin, room)
        chunk = Chunk(self._turn, self._cut, end, after, self._chunk, at, fresh)
        self._planned.append(chunk)
        self._cut = end
        for place in chunk.places(self._block):
            self._coming.append(place)
            out = self._coming.popleft()
            if out is not None and not _goes_on(out[1], self._coming):
                self._known = out[1]
        return after

    def _mark(self, at: int, *, ends_turn: bool = False) -> Mark:
        self._marked = self._known
        return Mark(self._turn, self._known, at, ends_turn)

    def _take(self, chunk: Chunk, result: FramesResult) -> None:
        if not len(result.sums) == len(result.heads) == chunk.blocks:
            raise ValueError(f"{chunk.blocks} blocks went in, {len(result.sums)} came out")
        self._inside.extend(chunk.places(self._block))
        out = [self._inside.popleft() for _ in result.sums]
        # Silence that fills up comes out before the blocks of the turn and after its margin.
        turn, blocks = chunk.turn, list(enumerate(out))
        speech = [(row, place) for row, place in blocks if place and place[0] < place[1]]
        behind = [row for row, place in blocks if place == (chunk.end, chunk.end)]
        if speech:
            rows = slice(speech[0][0], speech[-1][0] + 1)
            heads = result.heads[rows]
            over = np.zeros(len(heads), bool)
            if self._overlap is not None:
                over = heads[:, self._overlap] > 0
            places = [place for _, place in speech]
            self._blocks.add(places, turn, result.sums[rows], heads, over)
        if behind and self._blocks.end_alone(chunk.end):
            self._margins.add(turn, chunk.end, result.sums[behind])
        ends = [place[1] for place in out if place is not None]
        if ends and _goes_on(ends[-1], self._inside):
            ends = [end for end in ends if end < ends[-1]]
        if ends:
            self.ready = ends[-1]

    def _lose(self, chunk: Chunk, message: str) -> None:
        """What was in the graph is lost with the chunk, and it goes on as at a beginning."""
        for place in (*self._inside, *chunk.places(self._block)):
            if place is not None:
                self._lost.append((place, message))
                self.ready = place[1]
        self._begin()

    def _begin(self) -> None:
        self._states = np.zeros(self._pooling.figures.state_size, np.float32)
        self._inside = self._nothing()

    def _nothing(self) -> deque[Place | None]:
        return deque([None] * self._delay)


def _goes_on(end: int, following: Sequence[Place | None]) -> bool:
    """Whether a margin of what ends there is yet to come out."""
    return following[0] == (end, end)
