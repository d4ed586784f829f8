"""The turns of a stream by when they were said, and what is known of a span. Sans-IO."""

from __future__ import annotations

from collections import deque
from math import inf

import msgspec

from voxwatch_client.messages import Configured, Event, Score, State, Utterance, Vad

KEPT = 64  # turns: some minutes of talk
EDGE_S = 0.1  # a turn that is in a span by less has no part in it, and a shorter one is none
SLACK_S = 0.3  # by which who asks and the server may differ about where speech ends

Spans = deque[tuple[float, float]]  # in order; the last one may end at infinity: it goes on


class Turns:
    """What a server has said of a stream that began at ``began_s``, in the caller's time.

    What it says comes in the order of the sound: once it has told of a moment, it has told of all
    speech that began before.
    """

    def __init__(self, began_s: float, accept_llr: float, reject_llr: float) -> None:
        self.began_s = began_s
        self._accept_llr, self._reject_llr = accept_llr, reject_llr
        self._told: deque[Utterance] = deque(maxlen=KEPT)
        self._speech: Spans = deque(maxlen=KEPT)
        self._muted: Spans = deque(maxlen=KEPT)
        self._judged_s = began_s  # the end of the last turn
        self.known_s = began_s  # until then the server has heard the sound
        self.live: Score | None = None  # the last of the present turn

    def receive(self, message: Event) -> None:
        """Take in one message of the server."""
        self.known_s = max(self.known_s, self.began_s + message.t)
        if isinstance(message, Vad):
            _mark(self._speech, self.began_s + message.at, begins=message.speech)
        elif isinstance(message, Score):
            self.live = message
        elif isinstance(message, Utterance):
            start, end = self.began_s + message.start, self.began_s + message.end
            self.live, self._judged_s = None, end
            self._told.append(msgspec.structs.replace(message, start=start, end=end))
        elif isinstance(message, Configured):
            bounds = message.bounds
            self._accept_llr, self._reject_llr = bounds.accept_llr, bounds.reject_llr

    def mute(self, at_s: float, on: bool) -> None:
        """From there on nothing is judged, or everything again."""
        _mark(self._muted, at_s, begins=on)

    def on(self, since_s: float, until_s: float) -> tuple[Utterance, ...] | None:
        """The turns with a part in that span; None while one may still be to come."""
        found = tuple(
            t for t in self._told if t.end > since_s + EDGE_S and t.start < until_s - EDGE_S
        )
        if found and found[-1].end >= until_s - SLACK_S:
            return found
        unheard = self.known_s < until_s - EDGE_S
        return None if unheard or self._is_to_come(until_s) else found

    def state_of(self, score: Score) -> State:
        """What a score alone says by the stream's bounds."""
        if score.llr >= self._accept_llr:
            return "match"
        return "mismatch" if score.llr <= self._reject_llr else "uncertain"

    def _is_to_come(self, until_s: float) -> bool:
        """Whether there is speech before ``until_s`` that will be judged and has not been yet."""
        parts = [(max(start, self._judged_s), end) for start, end in self._speech]
        for began, ended in self._muted:
            pieces = (((a, min(b, began)), (max(a, ended), b)) for a, b in parts)
            parts = [part for two in pieces for part in two]
        return any(b - a > EDGE_S and a < until_s - EDGE_S for a, b in parts)


def _mark(spans: Spans, at_s: float, *, begins: bool) -> None:
    """A span begins or ends there, unless that was told before."""
    goes_on = bool(spans) and spans[-1][1] == inf
    if begins and not goes_on:
        spans.append((at_s, inf))
    elif goes_on and not begins:
        spans[-1] = spans[-1][0], at_s
