"""The turns of a stream by when they were said, and what is known of a span. Sans-IO."""

from __future__ import annotations

from collections import deque

import msgspec

from voxwatch_client.messages import Event, Score, State, Utterance, Vad

KEPT = 64  # turns: some minutes of talk
EDGE_S = 0.1  # a turn that is in a span by less has no part in it
SLACK_S = 0.3  # by which who asks and the server may differ about where speech ends
ONSET_S = 0.3  # after which the server has told that somebody has begun to speak


class Turns:
    """What a server has said of a stream that began at ``began_s``, in the caller's time."""

    def __init__(self, began_s: float, accept_llr: float, reject_llr: float) -> None:
        self.began_s = began_s
        self._accept_llr, self._reject_llr = accept_llr, reject_llr
        self._told: deque[Utterance] = deque(maxlen=KEPT)
        self._open_since_s: float | None = None  # of the turn that has not been judged yet
        self._known_s = began_s  # until then the server has heard the sound
        self.live: Score | None = None  # the last of the present turn

    def receive(self, message: Event) -> None:
        """Take in one message of the server."""
        self._known_s = max(self._known_s, self.began_s + message.t)
        if isinstance(message, Vad) and message.speech:
            self._open_since_s = self.began_s + message.at
        elif isinstance(message, Score):
            self.live = message
        elif isinstance(message, Utterance):
            self.live = self._open_since_s = None
            start, end = self.began_s + message.start, self.began_s + message.end
            self._told.append(msgspec.structs.replace(message, start=start, end=end))

    def on(self, since_s: float, until_s: float) -> tuple[Utterance, ...] | None:
        """The turns with a part in that span; None while one may still be to come."""
        found = tuple(
            t for t in self._told if t.end > since_s + EDGE_S and t.start < until_s - EDGE_S
        )
        if found and found[-1].end >= until_s - SLACK_S:
            return found
        to_come = self._open_since_s is not None and self._open_since_s < until_s
        return None if to_come or self._known_s < until_s + ONSET_S else found

    def state_of(self, score: Score) -> State:
        """What a score alone says by the stream's bounds."""
        if score.llr >= self._accept_llr:
            return "match"
        return "mismatch" if score.llr <= self._reject_llr else "uncertain"
