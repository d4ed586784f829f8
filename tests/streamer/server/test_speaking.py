"""For how long it was spoken."""

from __future__ import annotations

from engine.events import Vad
from streamer.server.speaking import Speaking


def vad(at: float, speech: bool) -> Vad:
    return Vad(t=at, speech=speech, at=at)


def test_what_is_being_said_counts_too() -> None:
    speaking = Speaking()
    assert (speaking.since, speaking.speech_s(5.0)) == (None, 0.0)
    speaking.hear(vad(1.0, True))
    assert (speaking.since, speaking.speech_s(3.5)) == (1.0, 2.5)
    speaking.hear(vad(4.0, False))
    assert (speaking.since, speaking.speech_s(9.0)) == (None, 3.0)
    speaking.hear(vad(10.0, True))
    assert speaking.speech_s(11.0) == 4.0


def test_sound_that_was_not_received_yet_is_none() -> None:
    speaking = Speaking()
    speaking.hear(vad(2.0, True))
    assert speaking.speech_s(1.9) == 0.0
    speaking.hear(vad(1.5, False))  # a detector may correct itself
    assert speaking.speech_s(9.0) == 0.0
