"""How a session is set up: by the configuration, and by what a stream asks for instead."""

from __future__ import annotations

from engine.decisions.config import DecisionConfig
from engine.session_config import SessionConfig
from engine.speech.windows import WindowConfig
from streamer.config import Config
from streamer.wire.requests import StartStream


def session_config(config: Config, start: StartStream | None = None) -> SessionConfig:
    """Windows, bounds and prior of a session; what ``start`` leaves out is as configured."""
    asked = start or StartStream()
    window_s, hop_s = asked.window_s or config.window_s, asked.hop_s or config.hop_s
    return SessionConfig(
        windows=WindowConfig(window_s=window_s, hop_s=min(hop_s, window_s)),
        decisions=DecisionConfig(
            false_accept=asked.false_accept or config.false_accept,
            miss=asked.miss or config.miss,
            false_alarms_per_hour=config.false_alarms_per_hour,
        ),
        prior=config.prior,
        stall_s=config.stall_s,
        kept_s=asked.kept_s or 0.0,
    )
