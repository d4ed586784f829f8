"""Workers know whose a secret is."""

from __future__ import annotations

from pathlib import Path

from streamer.server.workers.peers import Peers


def test_a_secret_tells_its_worker() -> None:
    peers = Peers(2, 3, Path("/nowhere"))
    assert peers.owner(peers.secret()) == 2
    assert peers.owner(Peers(3, 3, Path("/nowhere")).secret()) == 3
    for text in ("3", "4.x", "03.x", "", "x.y", "²3.x"):
        assert peers.owner(text) == 2
    assert Peers().others == []
    assert Peers().owner("2.x") == 1
