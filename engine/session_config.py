"""Everything a stream is configured by."""

from __future__ import annotations

from dataclasses import dataclass, field

from engine.decisions.config import DecisionConfig
from engine.speech.gate import GateConfig
from engine.speech.windows import WindowConfig


@dataclass(frozen=True, slots=True)
class SessionConfig:
    """Everything a stream is configured by.

    ``prior`` is the probability of a match before anything was heard, from which the scores'
    posteriors follow.
    """

    gate: GateConfig = field(default_factory=GateConfig)
    windows: WindowConfig = field(default_factory=WindowConfig)
    decisions: DecisionConfig = field(default_factory=DecisionConfig)
    prior: float = 0.5
    turn_pause_s: float = 0.6  # seconds of silence that end a turn
    stall_s: float = 3.0  # seconds of the clock without sound, after which that is told
    kept_s: float = 0.0  # seconds of sound that a client had kept when the stream began
