"""The stand-in for a frames graph, and spans by it."""

from __future__ import annotations

import pytest

from engine.model.bundle import Bundle
from engine.model.encoder import Encoder
from engine.model.frames import SpanPooling
from engine.spans.frames import FrameSpans


@pytest.fixture(scope="module")
def encoder(frames_bundle: Bundle) -> Encoder:
    return Encoder(frames_bundle, "cpu")


@pytest.fixture
def spans(frames_bundle: Bundle) -> FrameSpans:
    return FrameSpans(SpanPooling(frames_bundle), 0.5)
