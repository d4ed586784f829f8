"""The spans of one stream by whatever network a bundle has."""

from __future__ import annotations

from engine.model.bundle import Bundle
from engine.model.frames import SpanPooling
from engine.spans.frames import FrameSpans
from engine.spans.interface import SpeechEmbeddings
from engine.spans.windows import WindowSpans
from engine.speech.windows import WindowConfig


def spans_of(bundle: Bundle, config: WindowConfig) -> SpeechEmbeddings:
    """A stream's speech, none so far. A frames graph has no windows, and keeps to the hop."""
    if bundle.manifest.frames is None:
        return WindowSpans(bundle.manifest, config)
    return FrameSpans(SpanPooling(bundle), config.hop_s)
