"""The figures of several workers are those of one server."""

from __future__ import annotations

from streamer.server.totals import summed


def test_figures_are_added_up() -> None:
    one = {"streams": 2, "errors": {"idle": 1}, "engine": {"hop_s": 0.0, "batch_sizes": {"1": 4}}}
    two = {"streams": 3, "errors": {"gap": 2}, "engine": {"hop_s": 0.5, "batch_sizes": {"1": 1}}}
    assert summed([one, two]) == {
        "streams": 5,
        "errors": {"idle": 1, "gap": 2},
        "engine": {"hop_s": 0.5, "batch_sizes": {"1": 5}},
    }
    assert summed([one]) == one
